import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Outbox } from "../../../src/http/http1/outbox.ts"
import { SlowSocket } from "./support/sockets.ts"

const bytes = (text: string): Buffer => Buffer.from(text, "latin1")

interface Scene {
  readonly socket: SlowSocket
  readonly outbox: Outbox
}

function scene(room: number): Scene {
  const socket = new SlowSocket(room)
  return { socket, outbox: new Outbox(socket) }
}

/** Lets the socket take so many bytes more. */
function drain({ socket, outbox }: Scene, room: number): void {
  socket.room = room
  outbox.drain()
}

/** Whether a promise has come when all is done that can be done by now. */
async function hasCome(promise: Promise<unknown>): Promise<boolean> {
  let come = false
  void promise.then(() => {
    come = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return come
}

describe("an outbox whose socket takes all", () => {
  test("writes at once, without a copy, and is not behind", () => {
    const { socket, outbox } = scene(Number.POSITIVE_INFINITY)
    const parts = [bytes("ab"), bytes("c")]
    for (const part of parts) outbox.push(part, true)
    expect(socket.given).toHaveLength(2)
    for (const [index, part] of parts.entries()) expect(socket.given[index]).toBe(part)
    expect([socket.text, outbox.behind]).toEqual(["abc", false])
  })
})

describe("an outbox that is behind", () => {
  test.each([0, 1, 2, -1])("gives its socket no more before that asks for it (%d)", (room) => {
    const all = scene(room)
    const { socket, outbox } = all
    outbox.push(bytes("abc"), true)
    expect(outbox.behind).toBe(true)
    socket.room = 100
    for (const text of ["d", "ef"]) outbox.push(bytes(text), true)
    expect([socket.given.length, socket.text]).toEqual([1, "abc".slice(0, Math.max(0, room))])
    drain(all, 100)
    expect([socket.text, outbox.behind]).toEqual(["abcdef", false])
  })

  test("goes on with the very byte that was not taken, however often it is drained", () => {
    const all = scene(2)
    const { socket, outbox } = all
    for (const text of ["abcd", "", "ef", "ghi"]) outbox.push(bytes(text), true)
    for (const [room, text] of [
      [1, "abc"],
      [0, "abc"],
      [2, "abcde"],
      [-1, "abcde"],
      [1, "abcdef"],
      [2, "abcdefgh"],
    ] as const) {
      drain(all, room)
      expect([socket.text, outbox.behind]).toEqual([text, true])
    }
    drain(all, 1)
    expect([socket.text, outbox.behind]).toEqual(["abcdefghi", false])
    const { length } = socket.given
    drain(all, 1)
    expect(socket.given).toHaveLength(length)
  })

  test("stops at the piece that is not taken whole", () => {
    const all = scene(0)
    const { socket, outbox } = all
    for (const text of ["ab", "cd", "ef"]) outbox.push(bytes(text), true)
    drain(all, 3)
    // "ab", "cd" in part, and not "ef".
    expect(socket.given.slice(1).map((part) => Buffer.from(part).toString())).toEqual(["ab", "cd"])
  })

  test("keeps what passes as a copy of what was not taken, and all else as it is", () => {
    const all = scene(1)
    const { socket, outbox } = all
    const [first, passing, lasting] = [bytes("ab"), bytes("cd"), bytes("ef")]
    outbox.push(first, true)
    outbox.push(passing, true)
    outbox.push(lasting, false)
    for (const part of [first, passing]) part.fill("x")
    drain(all, 100)
    expect(socket.text).toBe("abcdef")
    expect(socket.given.at(-1)?.buffer).toBe(lasting.buffer)
    for (const part of socket.given.slice(1, 3)) expect(part.buffer.byteLength).toBe(part.length)
  })

  test("is so no more once it is dropped, and keeps nothing", () => {
    const all = scene(1)
    const { socket, outbox } = all
    outbox.push(bytes("abc"), true)
    outbox.drop()
    expect(outbox.behind).toBe(false)
    drain(all, 100)
    expect(socket.text).toBe("a")
  })
})

describe("who waits for an outbox", () => {
  test("is told when all is taken, not before, and so is everybody who waits", async () => {
    const all = scene(0)
    all.outbox.push(bytes("abc"), true)
    const waiting = [all.outbox.drained(), all.outbox.drained()]
    for (const room of [0, 1, 1]) {
      drain(all, room)
      for (const one of waiting) expect(await hasCome(one)).toBe(false)
    }
    drain(all, 1)
    await Promise.all(waiting)
  })

  test("is told each time anew", async () => {
    const all = scene(0)
    for (let i = 0; i < 2; i++) {
      all.outbox.push(bytes("abc"), true)
      const waiting = all.outbox.drained()
      expect(await hasCome(waiting)).toBe(false)
      drain(all, 3)
      await waiting
    }
  })

  test("is told when nobody will ever take it", async () => {
    const { outbox } = scene(-1)
    outbox.push(bytes("abc"), true)
    const waiting = outbox.drained()
    outbox.drop()
    await waiting
  })
})

test("what is pushed when nobody takes anything any more is forgotten", () => {
  const outbox = new Outbox({ write: () => -1 })
  outbox.drop()
  outbox.push(Buffer.from("a"), true)
  expect(outbox.behind).toBe(false)
})

test("whatever is pushed, and however much is taken when, the socket gets exactly that in order", () => {
  const step = fc.oneof(
    fc.record({ push: fc.stringMatching(/^[a-z]{0,12}$/), passing: fc.boolean() }),
    fc.record({ drain: fc.integer({ min: -1, max: 20 }) }),
  )
  const check = fc.property(fc.integer({ min: -1, max: 30 }), fc.array(step, { maxLength: 60 }), (room, steps) => {
    const all = scene(room)
    let wanted = ""
    for (const one of steps) {
      if ("drain" in one) drain(all, one.drain)
      else {
        const part = bytes(one.push)
        wanted += one.push
        all.outbox.push(part, one.passing)
        if (one.passing) part.fill("#")
      }
      expect(wanted.startsWith(all.socket.text)).toBe(true)
      expect(all.outbox.behind).toBe(all.socket.text.length < wanted.length)
    }
    drain(all, Number.POSITIVE_INFINITY)
    expect([all.socket.text, all.outbox.behind]).toEqual([wanted, false])
  })
  fc.assert(check, { numRuns: 500 })
})
