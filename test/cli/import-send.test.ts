import { describe, expect, test } from "bun:test"
import { Value } from "@sinclair/typebox/value"
import { hashOf, type Item } from "../../src/cli/import-plan.ts"
import { type SendResult, sendItems } from "../../src/cli/import-send.ts"
import { type Server, ServerError } from "../../src/cli/server.ts"
import type { Outcome, ProviderName } from "../../src/cli/shapes.ts"
import { until } from "../support/wait.ts"

const item = (n: number, provider: ProviderName = "codex", project: string | null = null): Item => ({
  source: `file #${n}`,
  provider,
  format: "refresh token",
  project,
  token: `rt_${n}`,
  hash: hashOf(`rt_${n}`),
})
const items = (count: number) => Array.from({ length: count }, (_, i) => item(i + 1))

type Seed = { readonly refresh_token: string; readonly project_id?: string }
type Answer = (seeds: readonly Seed[], provider: string) => Promise<readonly Outcome[]>

const adopted: Answer = async (seeds) =>
  seeds.map(({ refresh_token }) => ({ id: `s-${refresh_token}`, status: "adopted", credential: 1 }))

/** A server that is only told of here. */
function stage(answer: Answer, listed: () => readonly Outcome[] = () => []) {
  const posts: { readonly path: string; readonly seeds: readonly Seed[] }[] = []
  const stop = new AbortController()
  const progress: number[] = []
  const timers = new Set<() => void>()
  let now = 0
  const server: Server = {
    url: "http://127.0.0.1:8188",
    config: null,
    get: async (path, shape) =>
      Value.Decode(shape, {
        provider: path.split("/")[1],
        counts: {},
        models: {},
        credentials: [],
        seeds: listed().map((seed) => ({ ...seed, createdAt: 0, updatedAt: 0 })),
      }),
    async post(path, body, shape, options) {
      const seeds: readonly Seed[] = Array.isArray(body) ? body : []
      posts.push({ path, seeds })
      const gone = Promise.withResolvers<never>()
      options?.signal?.addEventListener("abort", () => gone.reject(options.signal?.reason))
      const outcomes = await Promise.race([answer(seeds, path.split("/")[1] ?? ""), gone.promise])
      return Value.Decode(shape, { accepted: seeds.length, blanks: 0, duplicates: 0, seeds: outcomes })
    },
    stream: () => Promise.reject(new Error("not used")),
  }
  return {
    posts,
    stop,
    progress,
    /** Lets the pause that is under way end, `ms` later. */
    async pass(ms: number) {
      await until("it pauses", () => timers.size > 0)
      now += ms
      for (const task of [...timers]) task()
      timers.clear()
    },
    send: (all: readonly Item[]) =>
      sendItems(all, {
        server,
        clock: { mono: () => now, wall: () => now },
        timers: {
          after(_, task) {
            timers.add(task)
            return () => void timers.delete(task)
          },
        },
        signal: stop.signal,
        progress: (done) => void progress.push(done),
      }),
  }
}

const words = ({ sent }: SendResult) =>
  sent.map(({ outcome, handedOver }) => outcome?.status ?? (handedOver ? "?" : "-"))

describe("an import is sent", () => {
  test("in batches of one provider each, every login once, and answered in its own order", async () => {
    const on = stage(adopted)
    const all = [...items(45), item(101, "geminicli", "my-project"), item(102, "geminicli")]
    const { sent, error } = await on.send(all)
    expect(error).toBeNull()
    expect(sent.map(({ item: { token } }) => token)).toEqual(all.map(({ token }) => token))
    expect(sent.map(({ outcome }) => outcome?.id)).toEqual(all.map(({ token }) => `s-${token}`))
    expect(on.posts.map(({ seeds }) => seeds.length).toSorted((a, b) => a - b)).toEqual([2, 5, 20, 20])
    const gemini = on.posts.filter(({ path }) => path.startsWith("/geminicli/resource:add"))
    expect(gemini.flatMap(({ seeds }) => seeds)).toEqual([
      { refresh_token: "rt_101", project_id: "my-project" },
      { refresh_token: "rt_102" },
    ])
    expect(on.progress.at(-1)).toBe(47)
  })

  test("two batches at a time, no more", async () => {
    const gate = Promise.withResolvers<void>()
    const on = stage(async (seeds, provider) => {
      await gate.promise
      return adopted(seeds, provider)
    })
    const done = on.send(items(100))
    await until("two are under way", () => on.posts.length === 2)
    await Bun.sleep(5)
    expect(on.posts).toHaveLength(2)
    gate.resolve()
    await done
    expect(on.posts).toHaveLength(5)
  })

  test("and what pends is asked about until it is decided", async () => {
    let listed: readonly Outcome[] = []
    const on = stage(
      async (seeds) => seeds.map(({ refresh_token }) => ({ id: `s-${refresh_token}`, status: "pending" })),
      () => listed,
    )
    const done = on.send(items(2))
    await on.pass(2_000)
    listed = [
      { id: "s-rt_1", status: "adopted", credential: 5 },
      { id: "s-rt_2", status: "failed", reason: "invalid_grant" },
    ]
    await on.pass(2_000)
    expect(words(await done)).toEqual(["adopted", "failed"])
  })

  test("and what pends for too long is left pending", async () => {
    const on = stage(async (seeds) => seeds.map(({ refresh_token }) => ({ id: refresh_token, status: "pending" })))
    const done = on.send(items(1))
    await on.pass(121_000)
    expect(words(await done)).toEqual(["pending"])
  })
})

describe("an import that ends early keeps what was done:", () => {
  test("a refusal is not sent on", async () => {
    let count = 0
    const on = stage(async (seeds, provider) => {
      count += 1
      if (count === 3) throw new ServerError("pollux: draining", 69, 503)
      return adopted(seeds, provider)
    })
    const result = await on.send(items(120))
    expect(result.error?.message).toBe("pollux: draining")
    expect(words(result).filter((word) => word === "?")).toEqual([])
    const done = words(result).filter((word) => word === "adopted").length
    expect(done).toBeGreaterThanOrEqual(40)
    expect(done).toBeLessThanOrEqual(60)
  })

  test("what got no answer may have been taken, and is not called unsent", async () => {
    const on = stage(async () => {
      throw new ServerError("pollux: no answer", 69)
    })
    expect(words(await on.send(items(3)))).toEqual(["?", "?", "?"])
  })

  test("where nobody listens nothing was taken", async () => {
    const on = stage(async () => {
      const error = new ServerError("pollux: nobody", 69)
      error.unreached = true
      throw error
    })
    expect(words(await on.send(items(3)))).toEqual(["-", "-", "-"])
  })

  test("stopped by its person it sends nothing more", async () => {
    const on = stage(() => new Promise(() => undefined))
    const done = on.send(items(60))
    await until("two are under way", () => on.posts.length === 2)
    on.stop.abort()
    const result = await done
    expect(result.error).toBeNull()
    expect(words(result)).toEqual([...Array(40).fill("?"), ...Array(20).fill("-")])
  })

  test("stopped while it waits it leaves what pends", async () => {
    const on = stage(async (seeds) => seeds.map(({ refresh_token }) => ({ id: refresh_token, status: "pending" })))
    const done = on.send(items(1))
    await until("it waits", () => on.progress.length > 0)
    on.stop.abort()
    expect(words(await done)).toEqual(["pending"])
  })
})
