import { describe, expect, spyOn, test } from "bun:test"
import { Batch } from "../../../src/relay/http1/batch.ts"
import { Body, HIGH_WATER_BYTES } from "../../../src/relay/http1/body.ts"
import { until } from "../../support/wait.ts"
import { failure, readAll } from "./support/bench.ts"

interface Scene {
  readonly body: Body
  /** What the body asked of its connection. */
  readonly asked: string[]
}

function scene(length: number | null = null): Scene {
  const asked: string[] = []
  const source = {
    pause: () => void asked.push("pause"),
    resume: () => void asked.push("resume"),
    abandon: () => void asked.push("abandon"),
  }
  const body = new Body(source, new Batch(), length)
  return { body, asked }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const half = new Uint8Array(HIGH_WATER_BYTES / 2)

async function next(body: Body): Promise<string | null> {
  const { value } = await body.read()
  return value === undefined ? null : new TextDecoder().decode(value)
}

describe("a body", () => {
  test("gives what came before it is read, and what comes while it is waited for, in order", async () => {
    const { body, asked } = scene()
    for (const text of ["a", "b"]) body.push(bytes(text))
    expect([await next(body), await next(body)]).toEqual(["a", "b"])
    const waited = next(body)
    body.push(bytes("c"))
    body.push(bytes("d"))
    expect(await waited).toBe("c")
    body.end()
    expect([await next(body), await next(body), await next(body)]).toEqual(["d", null, null])
    expect(asked).toEqual([])
  })

  test("wakes who waits for its end", async () => {
    const { body } = scene()
    const waited = next(body)
    body.end()
    expect(await waited).toBeNull()
  })

  test("that breaks gives what came, then what broke it, each time", async () => {
    const { body } = scene()
    const broken = new Error("broken")
    body.push(bytes("a"))
    body.fail(broken)
    body.push(bytes("b"))
    body.end()
    expect(await next(body)).toBe("a")
    for (let i = 0; i < 2; i++) expect(await failure(() => body.read())).toBe(broken)
  })

  test("that breaks tells who waits", async () => {
    const { body } = scene()
    const broken = new Error("broken")
    const waited = failure(() => body.read())
    body.fail(broken)
    expect(await waited).toBe(broken)
  })

  test("that has ended does not break any more", async () => {
    const { body } = scene()
    body.push(bytes("a"))
    body.end()
    body.fail(new Error("broken"))
    expect([await next(body), await next(body)]).toEqual(["a", null])
  })
})

describe("a body that is full", () => {
  test("holds its connection back once, until all that lay there was read", async () => {
    const { body, asked } = scene()
    body.push(half)
    expect(asked).toEqual([])
    for (let i = 0; i < 3; i++) body.push(half)
    expect(asked).toEqual(["pause"])
    for (let i = 0; i < 4; i++) {
      expect(asked).toEqual(["pause"])
      await body.read()
    }
    expect(asked).toEqual(["pause", "resume"])
    for (let i = 0; i < 2; i++) body.push(half)
    expect(asked).toEqual(["pause", "resume", "pause"])
  })

  test("by a single piece goes on when that was read", async () => {
    const { body, asked } = scene()
    body.push(new Uint8Array(2 * HIGH_WATER_BYTES))
    expect(asked).toEqual(["pause"])
    await body.read()
    expect(asked).toEqual(["pause", "resume"])
  })

  test("is not by what somebody waits for", async () => {
    const { body, asked } = scene()
    for (let i = 0; i < 4; i++) {
      const waited = body.read()
      body.push(half)
      await waited
    }
    expect(asked).toEqual([])
  })

  test("asks no more of its connection once it has ended or broken", async () => {
    for (const stop of [(body: Body) => body.end(), (body: Body) => body.fail(new Error("broken"))]) {
      const { body, asked } = scene()
      for (let i = 0; i < 2; i++) body.push(half)
      stop(body)
      for (let i = 0; i < 2; i++) await body.read()
      expect(asked).toEqual(["pause"])
    }
  })
})

describe("all of a body", () => {
  test("is there at once where it came in one piece, in that piece", async () => {
    const { body } = scene()
    const only = bytes("only")
    body.push(only)
    body.end()
    expect(await body.bytes()).toBe(only)
  })

  test("is put together from pieces, whenever they come", async () => {
    const { body } = scene()
    body.push(bytes("a"))
    const all = body.bytes()
    body.push(bytes("b"))
    body.push(bytes("c"))
    body.end()
    expect(Buffer.from(await all).toString()).toBe("abc")
  })

  test("is nothing where nothing came, now or later", async () => {
    const early = scene().body
    const all = early.bytes()
    early.end()
    const late = scene().body
    late.end()
    for (const got of [await all, await late.bytes()]) expect(got).toHaveLength(0)
  })

  test("is refused where it breaks", async () => {
    const { body } = scene()
    const broken = new Error("broken")
    body.push(bytes("a"))
    const all = failure(() => body.bytes())
    body.fail(broken)
    expect(await all).toBe(broken)
  })
})

describe("all of a body of a known length", () => {
  const LENGTH = 100_000
  const whole = new Uint8Array(LENGTH).map((_, i) => i % 251)
  /** A chunk as a connection brings it, in memory of its own. */
  const chunk = (from: number, to: number) => new Uint8Array(whole.subarray(from, to))

  test("is put together as it comes, and the memory of large chunks is free at once", async () => {
    const { body, asked } = scene(LENGTH)
    const chunks = [chunk(0, 40_000), chunk(40_000, 40_010), chunk(40_010, LENGTH)]
    body.push(chunks[0] ?? whole)
    const all = body.bytes()
    expect(chunks.map(({ length }) => length)).toEqual([0, 10, 59_990])
    for (const more of chunks.slice(1)) body.push(more)
    body.end()
    expect(Buffer.compare(await all, whole)).toBe(0)
    expect(chunks.map(({ length }) => length)).toEqual([0, 10, 0])
    expect(asked).toEqual([])
  })

  test("begins where it begins in its first chunk, and ends before what is not its own", async () => {
    const { body } = scene(LENGTH)
    const first = new Uint8Array([...bytes("head"), ...chunk(0, 50_000)])
    const last = new Uint8Array([...chunk(50_000, LENGTH), ...bytes("next")])
    body.push(first, 4)
    const all = body.bytes()
    body.push(last.subarray(0, 50_000))
    body.end()
    expect(Buffer.compare(await all, whole)).toBe(0)
    expect(first).toHaveLength(0)
    expect(Buffer.from(last.subarray(50_000)).toString()).toBe("next")
  })

  test("leaves alone what another one's body may lie in", async () => {
    const { body } = scene(LENGTH)
    const shared = new Uint8Array([...bytes("before"), ...chunk(0, LENGTH - 1)])
    body.push(shared.subarray(3), 3)
    const all = body.bytes()
    body.push(chunk(LENGTH - 1, LENGTH))
    body.end()
    expect(Buffer.compare(await all, whole)).toBe(0)
    expect(Buffer.from(shared.subarray(0, 6)).toString()).toBe("before")
  })

  test("goes on where its connection was held back before anybody asked for it", async () => {
    const length = 2 * HIGH_WATER_BYTES
    const { body, asked } = scene(length)
    body.push(new Uint8Array(HIGH_WATER_BYTES))
    const all = body.bytes()
    expect(asked).toEqual(["pause", "resume"])
    body.push(new Uint8Array(HIGH_WATER_BYTES))
    body.end()
    expect(await all).toHaveLength(length)
    expect(asked).toEqual(["pause", "resume"])
  })

  test("is refused where it breaks", async () => {
    const { body } = scene(LENGTH)
    const broken = new Error("broken")
    body.push(chunk(0, 20_000))
    const all = failure(() => body.bytes())
    body.fail(broken)
    body.push(chunk(20_000, LENGTH))
    expect(await all).toBe(broken)
  })

  test.each(["ended", "broken"])("is not kept by a body that has %s", async (how) => {
    const { body } = scene(LENGTH)
    const kept = await gatheredBy(body, how)
    await until("it is collected", () => {
      Bun.gc(true)
      return kept.deref() === undefined
    })
    // Still there, as a request is whose answer goes on.
    expect(await next(body).catch(() => null)).toBeNull()
  })

  /** In a turn of its own, so that no variable of the test keeps it. */
  async function gatheredBy(body: Body, how: string): Promise<WeakRef<Uint8Array>> {
    const allocate = spyOn(Buffer, "allocUnsafeSlow")
    body.push(chunk(0, 20_000))
    const all = body.bytes().catch(() => null)
    const made = allocate.mock.results[0]?.value
    allocate.mockRestore()
    if (how === "ended") {
      body.push(chunk(20_000, LENGTH))
      body.end()
    } else body.fail(new Error("broken"))
    await all
    if (!(made instanceof Uint8Array)) throw new Error("nothing was put together")
    return new WeakRef(made)
  }

  test("is no more than what came, where nobody wants the rest", async () => {
    const { body, asked } = scene(LENGTH)
    body.push(chunk(0, 20_000))
    const all = body.bytes()
    await body.cancel()
    expect(Buffer.compare(await all, whole.subarray(0, 20_000))).toBe(0)
    expect(asked).toEqual(["abandon"])
  })
})

describe("a body that is cancelled", () => {
  test("abandons its connection once, drops what came, and is at its end for who waits", async () => {
    const { body, asked } = scene()
    const waited = next(body)
    await body.cancel()
    await body.cancel()
    body.push(bytes("a"))
    body.fail(new Error("broken"))
    expect([await waited, await next(body)]).toEqual([null, null])
    expect(asked).toEqual(["abandon"])
  })

  test("leaves its connection alone if it has ended, and keeps nothing", async () => {
    const { body, asked } = scene()
    body.push(bytes("a"))
    body.end()
    await body.cancel()
    expect((await readAll(body)).length).toBe(0)
    expect(asked).toEqual([])
  })
})
