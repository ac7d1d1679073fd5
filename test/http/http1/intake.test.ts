import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { Intake } from "../../../src/http/http1/intake.ts"
import type { RequestHead } from "../../../src/http/http1/request-head.ts"
import { MalformedMessage } from "../../../src/relay/http1/field-lines.ts"

type Framing = RequestHead["framing"]

interface Taken {
  readonly body: string
  /** How often the body was told that it is at its end. */
  readonly ends: number
  readonly done: boolean
  readonly size: number
  /** What is left behind the body, as far as it was fed. */
  readonly behind: string
}

/** What came before the body in the same bytes. */
const HEAD = "0\r\n\r\n"

/** Feeds the pieces one after the other, each in memory of its own, until the body is all there. */
function take(framing: Framing, pieces: readonly string[]): Taken {
  let body = ""
  let ends = 0
  const intake = new Intake(framing, {
    push(bytes, from = 0) {
      expect(ends).toBe(0)
      body += Buffer.from(bytes.subarray(from)).toString("latin1")
    },
    end: () => void ends++,
  })
  for (const [index, piece] of pieces.entries()) {
    const before = index === 0 ? HEAD : ""
    const behind = intake.push(Buffer.from(before + piece, "latin1"), before.length).toString("latin1")
    const { done, size } = intake
    if (done) return { body, ends, done, size, behind: behind + pieces.slice(index + 1).join("") }
    expect([behind, ends]).toEqual(["", 0])
  }
  return { body, ends, done: false, size: intake.size, behind: "" }
}

/** Cut at each of the places, which count from the text's start. */
function cutAt(text: string, places: readonly number[]): readonly string[] {
  const sorted = [...new Set(places)].sort((a, b) => a - b)
  return [...sorted, text.length]
    .map((end, index) => text.slice(sorted[index - 1] ?? 0, end))
    .filter((piece) => piece !== "")
}

const NEXT = "GET /next HTTP/1.1\r\nhost: a\r\n\r\n"
const CODED = "3;x=y\r\nabc\r\n012\r\nhello to the world\r\n0;z\r\nx-a: 1\r\n\r\n"
const SCENES: readonly [string, Framing, string, string][] = [
  ["of one byte", 1, "a", "a"],
  ["with a length", 24, "hello\r\n\r\nto 5\r\nthe world", "hello\r\n\r\nto 5\r\nthe world"],
  ["that looks like chunks, but has a length", 10, "0\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r\n"],
  ["in chunks", "chunked", CODED, "abchello to the world"],
  ["in chunks without data", "chunked", "0\r\n\r\n", ""],
  ["in chunks with the next request inside", "chunked", `20\r\n${NEXT.padEnd(32)}\r\n0\r\n\r\n`, NEXT.padEnd(32)],
]

describe("a body", () => {
  test.each(SCENES)(
    "%s is the same wherever it is cut in three, the next request behind it or not",
    (_, framing, text, body) => {
      for (const behind of ["", NEXT, "\r\n", "0\r\n\r\n", "x"]) {
        const all = text + behind
        for (let first = 0; first <= all.length; first++) {
          for (let second = first; second <= all.length; second++) {
            expect(take(framing, cutAt(all, [first, second]))).toMatchObject({ body, ends: 1, done: true, behind })
          }
        }
      }
    },
  )

  test.each(SCENES)("%s is the same byte by byte, and not done before its last one", (_, framing, text, body) => {
    expect(take(framing, [...text, ...NEXT])).toEqual({ body, ends: 1, done: true, size: text.length, behind: NEXT })
    for (let end = 0; end < text.length; end++) {
      const begun = take(framing, [...text.slice(0, end)])
      expect(begun).toMatchObject({ ends: 0, done: false, size: end })
      expect(body.startsWith(begun.body)).toBe(true)
      expect(take(framing, [text.slice(0, end)])).toEqual(begun)
    }
  })

  test("is the same however it is coded and cut", () => {
    const part = fc
      .uint8Array({ minLength: 1, maxLength: 40, size: "max" })
      .map((bytes) => Buffer.from(bytes).toString("latin1"))
    const data = fc.array(part, { maxLength: 6 })
    const cuts = fc.array(fc.nat({ max: 500 }), { maxLength: 10 })
    const check = fc.property(
      data,
      fc.boolean(),
      fc.constantFrom("", NEXT, "5\r\nhello\r\n"),
      cuts,
      (parts, isCoded, behind, places) => {
        const body = parts.join("")
        const coded = `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join("")}0\r\n\r\n`
        if (!isCoded && body === "") return
        const framing = isCoded ? "chunked" : body.length
        const pieces = cutAt((isCoded ? coded : body) + behind, places)
        expect(take(framing, pieces)).toMatchObject({ body, ends: 1, done: true, behind })
      },
    )
    fc.assert(check, { numRuns: 500 })
  })

  test("of a length far beyond what comes is taken as it comes", () => {
    const longest = 999_999_999_999_999
    expect(take(longest, ["a", "bc"])).toEqual({ body: "abc", ends: 0, done: false, size: 3, behind: "" })
  })

  test("is counted with its coding, so that its sender is seen to make progress", () => {
    const intake = new Intake("chunked", { push: () => undefined, end: () => undefined })
    const sizes = ["3;x", "=y\r\n", "abc", "\r\n0\r\n", "x: y\r\n"].map((piece) => {
      intake.push(Buffer.from(piece))
      return intake.size
    })
    expect(sizes).toEqual([3, 7, 10, 15, 21])
  })
})

describe("memory", () => {
  test("goes on as it is: nothing is copied, and what came in one piece stays one", () => {
    for (const [framing, text] of [
      [5, "hello"],
      [9, "hello"],
      [3, "hello"],
      ["chunked", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\nnext"],
    ] as const) {
      const bytes = Buffer.from(text)
      const pushed: Uint8Array[] = []
      const rest = new Intake(framing, { push: (data) => void pushed.push(data), end: () => undefined }).push(bytes)
      expect(pushed).toHaveLength(1)
      for (const part of [...pushed, ...(rest.length > 0 ? [rest] : [])]) expect(part.buffer).toBe(bytes.buffer)
    }
  })

  test("of the next request stays what it is while this one's body is read and taken apart", () => {
    const text = `4\r\nwhat\r\n3\r\n is\r\n0\r\n\r\n`
    const around = Buffer.from(`before${text}${text}${NEXT}`, "latin1")
    const bodies: Uint8Array[] = []
    const inflow = { push: (data: Uint8Array) => void bodies.push(data), end: () => undefined }
    const second = new Intake("chunked", inflow).push(around.subarray(6))
    expect(second.toString("latin1")).toBe(text + NEXT)
    const third = new Intake("chunked", inflow).push(second)
    expect(third.toString("latin1")).toBe(NEXT)
    expect(around.toString("latin1", 0, 6)).toBe("before")
    expect(bodies.map((body) => Buffer.from(body).toString())).toEqual(["what is", "what is"])
  })
})

test.each(["x", "\r\n", "-1\r\n", "3\nabc", "3\r\nabcd", "3\r\nabc\n", "0\r\n\n", "fffffffffffffffff\r\n"])(
  "chunks like %j are no body, and it does not end",
  (text) => {
    const whole = `3\r\nabc\r\n${text}${NEXT}`
    for (const pieces of [[whole], [...whole]]) {
      let ends = 0
      const intake = new Intake("chunked", { push: () => undefined, end: () => void ends++ })
      expect(() => pieces.map((piece) => intake.push(Buffer.from(piece, "latin1")))).toThrow(MalformedMessage)
      expect([intake.done, ends]).toEqual([false, 0])
    }
  },
)
