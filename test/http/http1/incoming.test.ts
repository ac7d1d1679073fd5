import { describe, expect, test } from "bun:test"
import { Incoming } from "../../../src/http/http1/incoming.ts"
import type { ClientRequest } from "../../../src/http/ports.ts"
import { Batch } from "../../../src/relay/http1/batch.ts"
import { HIGH_WATER_BYTES } from "../../../src/relay/http1/body.ts"
import { textOf } from "../../../src/relay/span.ts"
import { read } from "./support/heads.ts"

interface Scene {
  readonly incoming: Incoming
  /** What the request asked of its connection. */
  readonly asked: string[]
}

function scene(...lines: readonly string[]): Scene {
  const asked: string[] = []
  const carrier = {
    address: "192.0.2.7",
    bodyWanted: () => void asked.push("bodyWanted"),
    welcome: () => void asked.push("welcome"),
    pause: () => void asked.push("pause"),
    resume: () => void asked.push("resume"),
    abandon: () => void asked.push("abandon"),
  }
  const head = read("POST /a/b?c=d HTTP/1.1", "Host: a", ...lines)
  return { incoming: new Incoming(head, carrier, new Batch()), asked }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (data: Uint8Array | null): string | null => (data === null ? null : new TextDecoder().decode(data))
const gone = new Error("gone")

/** The promise's error. */
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  )

describe("a request", () => {
  test("is what its head says, from where its connection comes", () => {
    const { incoming, asked } = scene("X-A: 1", "x-a: 2", "Set-Cookie: a", "set-cookie: b", "__proto__: p")
    const request: ClientRequest = incoming
    expect(request).toMatchObject({ method: "POST", target: { path: "/a/b", query: "c=d" }, address: "192.0.2.7" })
    const { headers } = request
    expect(["X-A", "x-a", "Set-Cookie", "__proto__", "x-b", "constructor"].map((name) => headers.get(name))).toEqual([
      "1, 2",
      "1, 2",
      "a, b",
      "p",
      null,
      null,
    ])
    expect([headers.has("HOST"), headers.has("toString")]).toEqual([true, false])
    expect(asked).toEqual([])
  })

  test("hands on that its sender is welcome", () => {
    const { incoming, asked } = scene()
    incoming.welcome()
    expect(asked).toEqual(["welcome"])
  })
})

describe("a request without a body", () => {
  test.each([[[]], [["content-length: 0"]]])(
    "(%j) has none, whichever way one asks, and asks for none",
    async (lines) => {
      const { incoming, asked } = scene(...lines)
      expect(incoming.inflow).toBeNull()
      expect(incoming.body).toBeNull()
      expect(incoming.whole()).toMatchObject({ from: 0, to: 0 })
      expect(await incoming.bytes()).toHaveLength(0)
      incoming.left(gone)
      expect(await incoming.bytes()).toHaveLength(0)
      expect(asked).toEqual([])
    },
  )
})

describe("a request with a body", () => {
  test("asks its sender for it once somebody wants to read it, not before", () => {
    for (const framing of ["content-length: 3", "transfer-encoding: chunked"]) {
      for (const want of [(to: Incoming) => to.body, (to: Incoming) => to.bytes()]) {
        const { incoming, asked } = scene(framing)
        incoming.inflow?.push(bytes("a"))
        expect([incoming.method, incoming.headers.has("host"), incoming.whole(), incoming.signal.aborted]).toEqual([
          "POST",
          true,
          null,
          false,
        ])
        expect(asked).toEqual([])
        void want(incoming)
        expect(asked).toContain("bodyWanted")
      }
    }
  })

  test("gives it as it comes, and in one piece", async () => {
    const { incoming } = scene("transfer-encoding: chunked")
    const all = incoming.bytes()
    for (const part of ["a", "bc"]) incoming.inflow?.push(bytes(part))
    incoming.inflow?.end()
    expect(text(await all)).toBe("abc")

    const other = scene("content-length: 2").incoming
    const reader = other.body?.getReader()
    other.inflow?.push(bytes("de"))
    other.inflow?.end()
    expect(await reader?.read()).toEqual({ done: false, value: bytes("de") })
    expect((await reader?.read())?.done).toBe(true)
  })

  test("has the whole of it at once when all is there in one piece, and gives it once", () => {
    const { incoming, asked } = scene("content-length: 3")
    expect(incoming.whole()).toBeNull()
    incoming.inflow?.push(bytes("abc"))
    expect(incoming.whole()).toBeNull()
    incoming.inflow?.end()
    expect(textOf(incoming.whole() ?? expect.unreachable())).toBe("abc")
    expect(incoming.whole()).toBeNull()
    expect(asked).toEqual([])
  })

  test("does not give what stands before it in the same bytes, whichever way it is read", async () => {
    const ways: readonly ((incoming: Incoming) => unknown)[] = [
      (incoming) => textOf(incoming.whole() ?? expect.unreachable()),
      async (incoming) => text(await incoming.bytes()),
      async (incoming) => text((await incoming.body?.getReader().read())?.value ?? null),
    ]
    for (const way of ways) {
      const { incoming } = scene("content-length: 3")
      incoming.inflow?.push(bytes("head abc"), 5)
      incoming.inflow?.end()
      expect(await way(incoming)).toBe("abc")
    }
    const { incoming } = scene("content-length: 5")
    const all = incoming.bytes()
    incoming.inflow?.push(bytes("head abc"), 5)
    incoming.inflow?.push(bytes("de"))
    incoming.inflow?.end()
    expect(text(await all)).toBe("abcde")
  })

  test("holds its sender back while nobody reads, and drops what nobody wants", async () => {
    const { incoming, asked } = scene("content-length: 999999999")
    incoming.inflow?.push(new Uint8Array(HIGH_WATER_BYTES))
    expect(asked).toEqual(["pause"])
    await incoming.inflow?.read()
    expect(asked).toEqual(["pause", "resume"])
    await incoming.inflow?.cancel()
    expect(asked).toEqual(["pause", "resume", "abandon"])
  })
})

describe("a client that leaves", () => {
  test("breaks a body that is still to come, for whoever waits and whoever asks later", async () => {
    const { incoming } = scene("content-length: 9")
    const waiting = failure(incoming.bytes())
    incoming.inflow?.push(bytes("a"))
    incoming.left(gone)
    expect(await waiting).toBe(gone)
    expect(await failure(incoming.bytes())).toBe(gone)
    expect(incoming.whole()).toBeNull()
  })

  test("does not break one that is all there", async () => {
    const { incoming } = scene("content-length: 2")
    incoming.inflow?.push(bytes("ab"))
    incoming.inflow?.end()
    incoming.left(gone)
    expect(text(await incoming.bytes())).toBe("ab")
  })

  test("ends what is under way, once, whether somebody listened before or asks afterwards", () => {
    const { incoming } = scene()
    const { signal } = incoming
    let aborts = 0
    signal.addEventListener("abort", () => void aborts++)
    expect(signal.aborted).toBe(false)
    incoming.left(gone)
    incoming.left(gone)
    expect([signal.aborted, aborts]).toEqual([true, 1])
    expect(incoming.signal).toBe(signal)

    const late = scene().incoming
    late.left(gone)
    expect(late.signal.aborted).toBe(true)
    expect(late.signal).toBe(late.signal)
  })
})
