import { afterEach, describe, expect, test } from "bun:test"
import { until } from "../support/wait.ts"
import { KEY } from "./support/config.ts"
import { type Bench, bench } from "./support/edge.ts"
import { credential } from "./support/pool.ts"

const open: Bench[] = []
function started(): Bench & { readonly url: string } {
  const made = bench()
  open.push(made)
  return { ...made, url: made.edge.listen().url }
}

afterEach(async () => {
  for (const made of open.splice(0)) await made.edge.stop(true)
})

/** Frames of a feed as they come. */
function frames(response: Response) {
  const reader = response.body?.getReader()
  const decoder = new TextDecoder()
  let text = ""
  return {
    async next(): Promise<{ readonly event: string; readonly data: unknown } | string> {
      while (!text.includes("\n\n")) {
        const chunk = await reader?.read()
        if (chunk === undefined || chunk.done) return "end"
        text += decoder.decode(chunk.value, { stream: true })
      }
      const cut = text.indexOf("\n\n")
      const frame = text.slice(0, cut)
      text = text.slice(cut + 2)
      const [, event = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? []
      return event === "" ? frame : { event, data: JSON.parse(data) }
    },
    cancel: () => reader?.cancel(),
  }
}

const watch = (url: string, signal?: AbortSignal) =>
  fetch(`${url}/toy/resource:watch`, {
    headers: { "x-goog-api-key": KEY },
    ...(signal === undefined ? {} : { signal }),
  })

describe("resource:watch", () => {
  test("begins with a snapshot and goes on with every change, masked", async () => {
    const { url, pool } = started()
    pool.credentials = [credential(1)]
    const response = await watch(url)
    expect(response.headers.get("content-type")).toBe("text/event-stream")
    const feed = frames(response)
    expect(await feed.next()).toMatchObject({
      event: "snapshot",
      data: { provider: "toy", credentials: [{ id: 1, email: "j***@example.com" }] },
    })
    pool.emit({ event: "credential", at: 1, credential: credential(2) })
    pool.emit({ event: "removed", at: 2, id: 1 })
    const outcome = { kind: "adopted", id: "s", credential: 2, email: "jane@example.com" } as const
    pool.emit({ event: "seed", at: 3, outcome })
    expect(await feed.next()).toMatchObject({
      event: "credential",
      data: { credential: { id: 2, email: "j***@example.com" } },
    })
    expect(await feed.next()).toEqual({ event: "removed", data: { event: "removed", at: 2, id: 1 } })
    expect(await feed.next()).toMatchObject({
      event: "seed",
      data: { outcome: { status: "adopted", email: "j***@example.com" } },
    })
    await feed.cancel()
  })

  test("sends a comment after 15 s of silence", async () => {
    const { url, time } = started()
    const feed = frames(await watch(url))
    await feed.next()
    time.advance(15_000)
    expect(await feed.next()).toBe(": keep-alive")
    time.advance(15_000)
    expect(await feed.next()).toBe(": keep-alive")
    await feed.cancel()
  })

  test("lets go of the pool when its reader leaves, and nothing is left behind", async () => {
    const { url, pool, time } = started()
    const stray: unknown[] = []
    const note = (error: unknown) => stray.push(error)
    process.on("unhandledRejection", note)
    try {
      for (let round = 0; round < 20; round++) {
        const leaving = new AbortController()
        const feed = frames(await watch(url, leaving.signal))
        await feed.next()
        leaving.abort()
      }
      await until("every feed has let go", () => pool.listeners.size === 0)
      // But the listener's own tick.
      expect(time.pending).toBe(1)
      pool.emit({ event: "removed", at: 1, id: 1 })
      await Bun.sleep(20)
      expect(stray).toEqual([])
    } finally {
      process.off("unhandledRejection", note)
    }
  })

  test("ends when the process drains", async () => {
    const { edge, url, pool } = started()
    const feed = frames(await watch(url))
    await feed.next()
    edge.drain()
    expect(await feed.next()).toBe("end")
    expect(pool.listeners.size).toBe(0)
    await until("nothing is open", () => edge.active() === 0)
  })

  test("is given up for a reader that takes nothing", async () => {
    const { ask, pool } = bench()
    const response = await ask("/toy/resource:watch")
    for (let n = 0; n < 1_100; n++) pool.emit({ event: "removed", at: n, id: n })
    expect(pool.listeners.size).toBe(0)
    await response.body?.cancel()
  })

  test("is limited in number", async () => {
    const { ask } = bench()
    const responses = await Promise.all(Array.from({ length: 65 }, () => ask("/toy/resource:watch")))
    expect(responses.map((response) => response.status).filter((status) => status === 503)).toHaveLength(1)
    for (const response of responses) await response.body?.cancel()
    const again = await ask("/toy/resource:watch")
    expect(again.status).toBe(200)
    await again.body?.cancel()
  })
})
