import { expect, test } from "bun:test"
import fc from "fast-check"
import { ResponseFramer } from "../../../src/providers/codex/framer.ts"
import { MAX_ITEM_BYTES } from "../../../src/providers/codex/item-list.ts"
import { NO_LIMITS } from "../../../src/providers/codex/limits.ts"
import { AnswerNotes } from "../../../src/providers/codex/notes.ts"
import type { Failure } from "../../../src/relay/ports.ts"
import { type Event, eventsOf, failureEvent, frame } from "../../fakes/openai/events.ts"
import { bytes, cutAt, read } from "./pieces.ts"
import { NOW } from "./support.ts"

function newFramer(codex: boolean) {
  const notes = new AnswerNotes(NO_LIMITS, () => NOW)
  return new ResponseFramer({ notes, headers: new Headers(), codex })
}

/** What the client gets of a stream in the given pieces, and the framer afterwards. */
function run(pieces: readonly Uint8Array[], options: { codex?: boolean; fault?: Failure; end?: boolean } = {}) {
  const framer = newFramer(options.codex ?? false)
  const out: Uint8Array[] = []
  for (const piece of pieces) {
    const written = framer.push(piece)
    // The relay may hold what it was given: it must not change afterwards.
    if (written !== null) out.push(written.slice())
  }
  if (options.end !== false) {
    const last = framer.end(options.fault ?? null)
    if (last !== null) out.push(last)
  }
  return { framer, text: Buffer.concat(out).toString("utf8"), writes: out }
}

const reply = { text: ["Grüße ", "日本語😀"], calls: [{ name: "f", arguments: '{"a":1}' }] }
const events = eventsOf(reply, { model: "m", instructions: "i" }, 1)
const whole = events.map(frame).join("")
const last = (list: readonly Event[]) => list[list.length - 1]

/** The same answer with its items in the last event, which is how a patched stream must read. */
function patched(list: readonly Event[]): readonly Event[] {
  const output = list.filter(({ type }) => type === "response.output_item.done").map((event) => event.item)
  return list.map((event) =>
    event.type === "response.completed" ? { ...event, response: { ...Object(event.response), output } } : event,
  )
}
const full = patched(events).map(frame).join("")

test("a Codex client gets every byte as it was sent, however the stream is cut", () => {
  const stream = bytes(whole)
  for (let at = 0; at <= stream.length; at++) expect(run(cutAt(stream, at), { codex: true }).text).toBe(whole)
  expect(run(cutAt(stream, ...stream.keys()), { codex: true }).text).toBe(whole)
})

test("other clients get the same bytes and the items in the last event, however the stream is cut", () => {
  const stream = bytes(whole)
  for (let at = 0; at <= stream.length; at++) expect(run(cutAt(stream, at)).text).toBe(full)
  expect(run(cutAt(stream, ...stream.keys())).text).toBe(full)
})

test("a last event that has its output already is not touched", () => {
  const stream = bytes(full)
  for (let at = 0; at <= stream.length; at += 7) expect(run(cutAt(stream, at)).text).toBe(full)
})

test("chunks that need no patch are handed on themselves, not copied", () => {
  const framer = newFramer(false)
  for (const event of events.slice(0, -1)) {
    const chunk = bytes(frame(event))
    expect(framer.push(chunk)).toBe(chunk)
  }
  const codex = newFramer(true)
  for (const chunk of cutAt(bytes(whole), 40, 333, 1200)) expect(codex.push(chunk)).toBe(chunk)
})

/** Any dialect of the same stream: line ends, spaces after the colon, comments, ids, a byte order mark, event names or none. */
const dialect = fc.record({
  eol: fc.constantFrom("\n", "\r\n", "\r"),
  space: fc.boolean(),
  comment: fc.boolean(),
  id: fc.boolean(),
  bom: fc.boolean(),
  cuts: fc.array(fc.nat(20_000), { maxLength: 30 }),
  codex: fc.boolean(),
  named: fc.boolean(),
})

test("every dialect and every way to cut it gives the same events, and loses none", () => {
  fc.assert(
    fc.property(dialect, ({ eol, space, comment, id, bom, cuts, codex, named }) => {
      const gap = space ? " " : ""
      const text = events
        .map((event, i) => {
          const lines = [
            ...(comment ? [`: note ${i}`] : []),
            ...(id ? [`id:${gap}${i}`] : []),
            ...(named ? [`event:${gap}${event.type}`] : []),
            `data:${gap}${JSON.stringify(event)}`,
          ]
          return lines.join(eol) + eol + eol
        })
        .join("")
      const stream = bytes((bom ? "\ufeff" : "") + text)
      const pieces = cutAt(stream, ...cuts.map((cut) => Math.min(cut, stream.length)))
      const { text: got, framer } = run(pieces, { codex })
      expect(framer.phase).toBe("done")
      expect(read(got)).toEqual((codex ? events : patched(events)).map((event) => ({ name: event.type, event })))
      if (named && codex) expect(got).toBe(Buffer.from(stream).toString("utf8"))
      expect(framer.events).toBe(events.length)
    }),
  )
})

test("nothing a server may send makes the framer throw, and a Codex client misses no byte of it", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .constantFrom(
        "event: error\n",
        "data: {",
        'data: {"type":"',
        "\n\n",
        "\r",
        ":",
        "data: [DONE]\n\n",
        "event: response.completed\n",
      )
      .map(bytes),
    fc.constantFrom(...events).map((event) => bytes(frame(event))),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 25 }), fc.boolean(), (pieces, codex) => {
      // A begun error event is held until it is whole.
      const whole = [...pieces, bytes("\n\n")]
      const { writes, framer } = run(whole, { codex, end: false })
      const sent = Buffer.concat(writes)
      const given = Buffer.concat(whole)
      if (codex && !sent.equals(given)) {
        // Only event names may have been added.
        expect(sent.toString("latin1").replaceAll(/event: [\w.-]+\n/g, "")).toBe(
          given.toString("latin1").replaceAll(/event: [\w.-]+\n/g, ""),
        )
      }
      framer.end({ kind: "cut", detail: "x" })
    }),
  )
})

test("the opening ends with the first event that means something", () => {
  const framer = newFramer(false)
  const phases = events.slice(0, 4).map((event) => {
    framer.push(bytes(frame(event)))
    return framer.phase
  })
  expect(phases).toEqual(["opening", "opening", "flowing", "flowing"])
  const quiet = newFramer(false)
  for (const type of ["codex.rate_limits", "codex.response.metadata", "response.metadata", "response.queued"]) {
    quiet.push(bytes(frame({ type })))
  }
  expect(quiet.phase).toBe("opening")
  expect(quiet.events).toBe(4)
})

test("an error while opening is a failure that can go elsewhere", () => {
  for (const shape of ["response.failed", "error"] as const) {
    const framer = newFramer(true)
    framer.push(bytes(frame(events[0] ?? { type: "" })))
    framer.push(bytes(frame(failureEvent(shape, "server_is_overloaded", "busy", {}, 1))))
    expect(framer.failure).toMatchObject({ kind: "event" })
    // Where the handshake was committed before, it is the stream's last event and the credential's late error.
    expect(framer.phase).toBe("done")
    expect(framer.lateError).toContain("server_is_overloaded")
    expect(framer.end(null)).toBeNull()
  }
})

test("a fault of the request is passed on as the upstream said it, since no other credential would do better", () => {
  const text = frame(failureEvent("response.failed", "context_length_exceeded", "too long", {}, 1))
  const { text: got, framer } = run([bytes(text)], { codex: true })
  expect(got).toBe(text)
  expect(framer.failure).toBeNull()
  expect(framer.phase).toBe("done")
  expect(framer.lateError).toBeNull()
})

test("an error after content passes as it is and is kept for the credential's sake", () => {
  const text =
    events.slice(0, 6).map(frame).join("") + frame(failureEvent("error", "rate_limit_exceeded", "slow", {}, 6))
  const { text: got, framer } = run([bytes(text)])
  expect(got).toBe(text)
  expect(framer.phase).toBe("done")
  expect(JSON.parse(framer.lateError ?? "")).toMatchObject({ code: "rate_limit_exceeded" })
})

test("a broken stream ends in response.failed for Codex clients and in error for others", () => {
  const cut = bytes(events.slice(0, 6).map(frame).join(""))
  const fault: Failure = { kind: "cut", detail: "reset" }
  const codex = read(run([cut], { codex: true, fault }).text).at(-1)
  expect(codex?.event).toMatchObject({
    type: "response.failed",
    sequence_number: 6,
    response: { object: "response", status: "failed", error: { code: "server_error" }, output: [] },
  })
  const id = Object(events[0]?.response).id
  expect(Object(Object(codex?.event).response).id).toBe(id)
  const other = read(run([cut], { fault }).text).at(-1)
  expect(other).toMatchObject({
    name: "error",
    event: { type: "error", code: "stream_incomplete", sequence_number: 6 },
  })
  const idle = read(run([cut], { fault: { kind: "timeout", stage: "idle" } }).text).at(-1)
  expect(idle?.event).toMatchObject({ code: "upstream_timeout", error: { type: "server_error" } })
})

test("a clean end without the last event is a cut and gets one", () => {
  const { framer, text } = run([bytes(events.slice(0, 6).map(frame).join(""))])
  expect(framer.incomplete).toBeTrue()
  expect(read(text).at(-1)?.name).toBe("error")
})

test("an open frame is closed by a blank line before the last event, at every cut", () => {
  const stream = bytes(whole)
  for (let at = 1; at < stream.length; at++) {
    const { text, framer } = run([stream.slice(0, at)], { fault: { kind: "cut", detail: "x" } })
    if (framer.phase === "done") continue
    const tail = text.slice(text.lastIndexOf("event: error"))
    expect(JSON.parse(tail.split("data: ")[1] ?? "")).toMatchObject({ type: "error" })
    expect(text.slice(0, -tail.length)).toMatch(/\n\n$/)
    expect(text.startsWith(Buffer.from(stream.slice(0, 200)).toString("utf8").slice(0, Math.min(at, 100)))).toBeTrue()
  }
})

test("an event beyond all measure ends the stream with an error, and nothing behind it is written", () => {
  const begun = events.slice(0, 6).map(frame).join("")
  const forms = [
    ["event: response.filler\n", /^x{3000}\n\nevent: (?:error|response\.failed)\ndata: .+\n\n$/],
    // It may be an error event: nothing of it goes out.
    ["", /^\n\nevent: (?:error|response\.failed)\ndata: .+\n\n$/],
  ] as const
  for (const [codex, [name, end]] of [false, true].flatMap((c) => forms.map((form) => [c, form] as const))) {
    const notes = new AnswerNotes(NO_LIMITS, () => NOW)
    const framer = new ResponseFramer({ notes, headers: new Headers(), codex, maxFrameBytes: 4_096 })
    const written = [begun, `${name}data: {"filler":"${"x".repeat(3_000)}`, "x".repeat(3_000), "more"].map((text) =>
      Buffer.from(framer.push(bytes(text)) ?? []).toString("utf8"),
    )
    expect(written[2]).toMatch(end)
    expect(written[3]).toBe("")
    expect(framer).toMatchObject({ phase: "done", incomplete: true, failure: null })
    expect(framer.end(null)).toBeNull()
  }
})

test("a last event without its blank line counts, and is closed", () => {
  for (const missing of [1, 2]) {
    const stream = bytes(whole).slice(0, -missing)
    const { framer, text } = run([stream])
    expect(framer.incomplete).toBeFalse()
    expect(framer.usage?.output).toBeNumber()
    expect(read(text).map(({ name }) => name)).toEqual(events.map(({ type }) => type))
  }
})

test("usage, ids and limits are noted as they pass", () => {
  const limits = {
    type: "codex.rate_limits",
    plan_type: "pro",
    rate_limits: { primary: { used_percent: 41.5, window_minutes: 300, reset_at: 1_900_000_000 }, secondary: null },
  }
  const { framer } = run([bytes(frame(limits) + whole)], { codex: true })
  expect(framer.responseId).toBe(`r:${Object(events[0]?.response).id}`)
  expect(framer.usage).toEqual({ input: 1, output: 10, cached: 0, reasoning: 0 })
  expect(framer.plan).toBe("pro")
  expect(framer.quotas).toEqual([
    {
      family: "codex",
      name: "primary",
      usedPercent: 41.5,
      windowMinutes: 300,
      resetsAt: 1_900_000_000_000,
      seenAt: NOW,
    },
  ])
})

test("a limit reached mid-stream ends nothing, and is reported after the end", () => {
  const reached = {
    type: "codex.rate_limits",
    plan_type: "plus",
    rate_limits: { limit_reached: true, primary: { used_percent: 100, reset_at: 1_900_000_000 } },
  }
  const [first = "", ...rest] = events.map(frame)
  const text = first + frame(reached) + rest.join("")
  const { framer, text: got } = run([bytes(text)], { codex: true })
  expect(got).toBe(text)
  expect(framer.phase).toBe("done")
  expect(JSON.parse(framer.lateError ?? "")).toEqual({
    error: {
      type: "usage_limit_reached",
      message: "The usage limit has been reached",
      limit_name: "codex",
      plan_type: "plus",
      resets_at: 1_900_000_000,
    },
  })
})

test("keep-alives may stand wherever the framer says that it is between frames", () => {
  const stream = bytes(whole)
  for (let at = 0; at < stream.length; at++) {
    const framer = newFramer(false)
    const head = framer.push(stream.slice(0, at))
    const sign = framer.betweenFrames ? framer.keepAlive : null
    const tail = framer.push(stream.slice(at))
    const got = Buffer.concat([head, sign, tail].map((piece) => piece ?? new Uint8Array())).toString("utf8")
    expect(read(got)).toEqual(read(full))
  }
  // A frame that is held back whole has not reached the client: there is room before it.
  const holding = newFramer(false)
  const lastFrame = whole.lastIndexOf("event: response.completed")
  holding.push(stream.slice(0, Buffer.byteLength(whole.slice(0, lastFrame)) + 60))
  expect(holding.betweenFrames).toBeTrue()
  expect(Buffer.from(newFramer(true).keepAlive ?? []).toString()).toBe(
    'event: codex.keepalive\ndata: {"type":"codex.keepalive"}\n\n',
  )
})

test("items beyond the bound are not collected, and the last event then stays as it is", () => {
  const item = { type: "image_generation_call", result: "x".repeat(MAX_ITEM_BYTES / 2) }
  const done = frame({ type: "response.output_item.done", output_index: 0, item })
  const completed = frame(last(events) ?? { type: "" })
  const { writes } = run([bytes(done), bytes(done), bytes(completed)])
  expect(Buffer.from(writes.at(-1) ?? []).toString()).toBe(completed)
})
