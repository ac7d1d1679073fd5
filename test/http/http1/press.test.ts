import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Outbox } from "../../../src/http/http1/outbox.ts"
import { type Outlet, Press } from "../../../src/http/http1/press.ts"
import { SlowSocket } from "./support/sockets.ts"

const KIB = 1024
/** What is larger goes out by itself; what is put together is twice that at most. */
const DIRECT = 128 * KIB

interface Pushed {
  readonly text: string
  readonly passing: boolean
  readonly bytes: Uint8Array
}

/** Notes what is pushed to it, and when: `seen` is shared by several. */
class Notes implements Outlet {
  readonly pushed: Pushed[] = []

  constructor(
    private readonly name = "",
    private readonly seen: string[] = [],
  ) {}

  push(bytes: Uint8Array, passing: boolean): void {
    const text = Buffer.from(bytes).toString("latin1")
    this.pushed.push({ text, passing, bytes })
    this.seen.push(this.name + text)
  }

  get texts(): readonly string[] {
    return this.pushed.map(({ text }) => text)
  }
}

const microtasks = (): Promise<void> => Promise.resolve()

describe("what is written to one in a row", () => {
  test("goes out together at the end of the microtask", async () => {
    const press = new Press()
    const one = new Notes()
    press.text(one, "a\xe4\r\n")
    press.bytes(one, Buffer.from([0, 255]), true)
    press.utf8(one, "€", 3)
    press.bytes(one, Buffer.from("b"), false)
    expect(one.pushed).toEqual([])
    await microtasks()
    expect(one.texts).toEqual([`a\xe4\r\n\0\xff${Buffer.from("€").toString("latin1")}b`])
    expect(one.pushed[0]?.passing).toBe(true)
  })

  test("goes out each time anew", async () => {
    const press = new Press()
    const one = new Notes()
    for (const text of ["a", "b", "c"]) {
      press.text(one, text)
      await microtasks()
      expect(one.texts.at(-1)).toBe(text)
    }
    expect(one.pushed).toHaveLength(3)
  })

  test("goes out when it is told to, and not again", async () => {
    const press = new Press()
    const one = new Notes()
    press.text(one, "a")
    press.flush()
    expect(one.texts).toEqual(["a"])
    press.flush()
    await microtasks()
    expect(one.texts).toEqual(["a"])
    press.text(one, "b")
    await microtasks()
    expect(one.texts).toEqual(["a", "b"])
  })

  test("goes out by the end of the microtask even if some of it went out before", async () => {
    const press = new Press()
    const [one, two] = [new Notes(), new Notes()]
    press.text(one, "a")
    press.flush()
    press.text(one, "b")
    press.text(two, "c")
    await microtasks()
    expect([one.texts, two.texts]).toEqual([["a", "b"], ["c"]])
  })

  test("goes out when another one's turn comes", async () => {
    const seen: string[] = []
    const press = new Press()
    const [one, two] = [new Notes("1", seen), new Notes("2", seen)]
    press.text(one, "a")
    press.text(one, "b")
    press.text(two, "c")
    expect(seen).toEqual(["1ab"])
    press.text(one, "d")
    expect(seen).toEqual(["1ab", "2c"])
    await microtasks()
    expect(seen).toEqual(["1ab", "2c", "1d"])
  })

  test("is of the moment it was written, whatever becomes of its memory", async () => {
    const press = new Press()
    const one = new Notes()
    for (const passing of [true, false]) {
      const bytes = Buffer.from("abc")
      press.bytes(one, bytes, passing)
      bytes.fill("x")
    }
    await microtasks()
    expect(one.texts).toEqual(["abcabc"])
  })

  test("may be written while something goes out", async () => {
    const press = new Press()
    const two = new Notes()
    const one = new Notes()
    press.text(
      {
        push(bytes, passing) {
          one.push(bytes, passing)
          press.text(two, "behind")
        },
      },
      "first",
    )
    await microtasks()
    await microtasks()
    expect([one.texts, two.texts]).toEqual([["first"], ["behind"]])
  })
})

describe("what is large", () => {
  const large = Buffer.alloc(DIRECT + 1, "abc")

  test("goes out at once as it is, behind what was written before", async () => {
    for (const passing of [true, false]) {
      const press = new Press()
      const one = new Notes()
      press.text(one, "before")
      press.bytes(one, large, passing)
      expect(one.texts).toEqual(["before", large.toString()])
      expect(one.pushed[1]).toMatchObject({ passing })
      expect(one.pushed[1]?.bytes).toBe(large)
      press.text(one, "behind")
      await microtasks()
      expect(one.texts.slice(2)).toEqual(["behind"])
    }
  })

  test("does not overtake what was written to others", () => {
    const seen: string[] = []
    const press = new Press()
    press.text(new Notes("1", seen), "a")
    press.bytes(new Notes("2", seen), large, true)
    expect(seen).toEqual(["1a", `2${large.toString()}`])
  })

  test("is put together up to its limit, and is whole whatever its size", async () => {
    for (const size of [1, DIRECT - 1, DIRECT, DIRECT + 1, 2 * DIRECT, 3 * DIRECT + 5]) {
      const text = "0123456789abcdef€\xe4".repeat(size).slice(0, size)
      const latin1 = text.replaceAll("€", "\xff")
      const press = new Press()
      const one = new Notes()
      press.text(one, latin1)
      press.bytes(one, Buffer.from(latin1, "latin1"), true)
      press.utf8(one, text, Buffer.byteLength(text))
      press.text(one, "end")
      await microtasks()
      const all = one.texts.join("")
      expect(all === `${latin1}${latin1}${Buffer.from(text).toString("latin1")}end`).toBe(true)
    }
  })

  test("fills what it is put together in to the last byte, and no further", async () => {
    const writers: readonly ((press: Press, to: Outlet, text: string) => void)[] = [
      (press, to, text) => press.text(to, text),
      (press, to, text) => press.utf8(to, text, text.length),
      (press, to, text) => press.bytes(to, Buffer.from(text), true),
    ]
    for (const write of writers) {
      for (const last of ["", "a", "ab", "abc", "abcd", "abcde"]) {
        const press = new Press()
        const one = new Notes()
        for (const text of ["x".repeat(DIRECT), "y".repeat(DIRECT - 3), last]) write(press, one, text)
        const isMore = last.length > 3
        expect(one.pushed).toHaveLength(isMore ? 1 : 0)
        await microtasks()
        expect(one.pushed.map(({ text }) => text.length)).toEqual(
          isMore ? [2 * DIRECT - 3, last.length] : [2 * DIRECT - 3 + last.length],
        )
        expect(one.texts.join("").slice(-last.length - 1)).toBe(`y${last}`)
      }
    }
  })

  test("is counted in bytes, not in characters", async () => {
    const press = new Press()
    const one = new Notes()
    const parts = [40_000, 40_000, 10_000, 2_000].map((count) => "€".repeat(count))
    for (const part of parts) press.utf8(one, part, Buffer.byteLength(part))
    await microtasks()
    expect(Buffer.from(one.texts.join(""), "latin1").equals(Buffer.from(parts.join("")))).toBe(true)
    expect(one.pushed).toHaveLength(2)
  })

  test("in many small pieces goes out in few", async () => {
    const press = new Press()
    const one = new Notes()
    const pieces = 4 * 2 * DIRECT
    for (let i = 0; i < pieces / 64; i++) press.text(one, "0123456789abcdef".repeat(4))
    await microtasks()
    expect(one.pushed.length).toBeLessThanOrEqual(5)
    expect(one.texts.join("")).toHaveLength(pieces)
  })
})

test("whatever is written to whom, each socket gets exactly its own bytes in order, however slow it is", async () => {
  const outlets = 3
  const size = fc.oneof(
    { weight: 8, arbitrary: fc.nat({ max: 40 }) },
    { weight: 2, arbitrary: fc.integer({ min: 40 * KIB, max: 90 * KIB }) },
    { weight: 2, arbitrary: fc.integer({ min: DIRECT - 2, max: DIRECT + 2 }) },
    { weight: 1, arbitrary: fc.integer({ min: 2 * DIRECT - 2, max: 2 * DIRECT + 2 }) },
  )
  const to = fc.nat({ max: outlets - 1 })
  const room = fc.oneof(fc.integer({ min: -1, max: 50 }), fc.nat({ max: 400 * KIB }))
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("text", "utf8", "passing", "lasting"), to, size }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("drain"), to, room }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("flush", "turn"), to }) },
  )
  const rooms = fc.array(room, { minLength: outlets, maxLength: outlets })
  const check = fc.asyncProperty(rooms, fc.array(step, { maxLength: 30 }), async (begin, steps) => {
    const press = new Press()
    const all = begin.map((first) => {
      const socket = new SlowSocket(first)
      return { socket, outbox: new Outbox(socket), wanted: Array.of<Buffer>() }
    })
    const drain = (index: number, more: number): void => {
      const one = all[index]
      if (one === undefined) return
      one.socket.room = more
      one.outbox.drain()
    }
    for (const [index, one] of steps.entries()) {
      const { outbox, wanted } = all[one.to] ?? {}
      if (outbox === undefined || wanted === undefined) continue
      if ("room" in one) drain(one.to, one.room)
      else if (!("size" in one)) {
        if (one.kind === "flush") press.flush()
        else await microtasks()
      } else if (one.kind === "text") {
        const text = `${index}\xe4;`.repeat(one.size).slice(0, one.size)
        press.text(outbox, text)
        wanted.push(Buffer.from(text, "latin1"))
      } else if (one.kind === "utf8") {
        // A lone half of a pair is written as well.
        const text = `${index}€\ud83d\ude00\ud800;`.repeat(one.size).slice(0, one.size)
        press.utf8(outbox, text, Buffer.byteLength(text))
        wanted.push(Buffer.from(text))
      } else {
        const bytes = Buffer.alloc(one.size, `${one.kind}${index}`)
        wanted.push(Buffer.from(bytes))
        press.bytes(outbox, bytes, one.kind === "passing")
        if (one.kind === "passing") bytes.fill("#")
      }
    }
    await microtasks()
    for (const index of all.keys()) drain(index, Number.POSITIVE_INFINITY)
    for (const { socket, outbox, wanted } of all) {
      expect(socket.bytes.equals(Buffer.concat(wanted))).toBe(true)
      expect(outbox.behind).toBe(false)
    }
  })
  await fc.assert(check, { numRuns: 150 })
})
