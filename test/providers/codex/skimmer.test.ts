import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { kindOf } from "../../../src/providers/codex/events.ts"
import { ResponseFramer } from "../../../src/providers/codex/framer.ts"
import { NO_LIMITS } from "../../../src/providers/codex/limits.ts"
import { AnswerNotes } from "../../../src/providers/codex/notes.ts"
import { SKIMMED, Skimmer } from "../../../src/providers/codex/skimmer.ts"
import type { Failure } from "../../../src/relay/ports.ts"
import { SseScanner } from "../../../src/relay/sse.ts"
import { eventsOf, failureEvent, frame } from "../../fakes/openai/events.ts"
import { NOW } from "./support.ts"

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const delta = (name: string, text: string) => frame({ type: name, sequence_number: 7, delta: text })
const skimmed = (text: string, from = 0) => {
  const skimmer = new Skimmer(bytes(text))
  return { end: skimmer.skim(from), count: skimmer.count }
}

describe("the skimmer", () => {
  test("passes over deltas of all its names, in runs and mixed", () => {
    const text = [...SKIMMED, ...SKIMMED, ...SKIMMED.toReversed()].map((name) => delta(name, "Grüße 😀")).join("")
    expect(skimmed(text)).toEqual({ end: Buffer.byteLength(text), count: 15 })
  })

  test("knows only names of events that nobody looks into", () => {
    for (const name of SKIMMED) {
      const scanner = new SseScanner()
      scanner.feed(bytes(delta(name, "x")))
      expect(scanner.next()).toBeTrue()
      expect(kindOf(scanner)).toBe("content")
    }
  })

  test("stops before whatever is no delta as the backend writes them, and before one that is not whole", () => {
    const first = delta(SKIMMED[0], "a")
    const others = [
      "",
      "\n",
      ": comment\n\n",
      delta("response.output_item.done", "b"),
      delta("response.output_text.deltas", "b"),
      frame(failureEvent("error", "x", "y", {}, 1)),
      first.slice(0, -1),
      first.slice(0, 30),
      first.replace("event: ", "event:"),
      first.replace("\ndata: ", "\ndata:"),
      first.replace("\n\n", "\nevent: error\n\n"),
      first.replace("\n\n", "\ndata: more\n\n"),
      first.replaceAll("\n", "\r\n"),
      first.replace('"a"', '"\ra"'),
      `${first.slice(0, -1)}\r`,
      `id: 1\n${first}`,
      first.slice(first.indexOf("data: ")),
    ]
    for (const other of others) {
      expect({ other, ...skimmed(first + first + other) }).toEqual({ other, end: 2 * first.length, count: 2 })
      expect({ other, ...skimmed(other) }).toEqual({ other, end: 0, count: 0 })
    }
  })

  test("begins where it is told to", () => {
    const text = `: x\n\n${delta(SKIMMED[0], "a")}`
    expect(skimmed(text, 5)).toEqual({ end: text.length, count: 1 })
  })
})

/** Texts that look like ends, names and errors from inside of a string. */
const said = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom(
    "\n\nevent: error\ndata: {}\n\n",
    '"type":"response.completed"',
    "\r\n\r\nevent: response.failed",
    "x".repeat(3_000),
  ),
)
const deltas = fc.tuple(fc.constantFrom(...SKIMMED), said).map(([name, text]) => delta(name, text))
const reply = eventsOf({ text: ["a ", "b"], calls: [{ name: "f", arguments: '{"a":1}' }] }, { model: "m" }, 1)
const others = fc.oneof(
  fc.constantFrom(...reply.slice(0, -1)).map(frame),
  fc.constantFrom(
    ": note\n\n",
    "\n",
    "\r\n",
    "\r",
    "data: [DONE]\n\n",
    'data: {"type":"response.output_text.delta","delta":"unnamed"}\n\n',
    "event: response.output_text.delta\n\n",
    "event: response.output_text.delta\nevent: error\ndata: {}\n\n",
    "event: response.output_text.delta\ndata: {}\ndata: {}\n\n",
    "event: response.output_text.delta\ndata: {\rdata: {}\n\n",
    'event: response.output_text.delta\ndata: {}\r\revent: error\rdata: {"type":"error","code":"x"}\n\n',
    "event: response.output_text.delta\ndata: {}\nevent: error\n\n",
    "event: response.output_text.delta\r\ndata: {}\r\n\r\n",
    "event: response.output_text.delta\ndata: {}\n\r\n",
  ),
  // What ends a stream is one of many, so that most streams are long.
  fc.constant(reply.slice(-1).map(frame).join("")),
  fc
    .constantFrom("error" as const, "response.failed" as const)
    .map((shape) => frame(failureEvent(shape, "rate_limit_exceeded", "of org-secret", {}, 9))),
  fc.constant(frame({ type: "codex.rate_limits", rate_limits: { primary: { used_percent: 50 } } })),
)
const frames = fc.array(fc.oneof({ weight: 3, arbitrary: deltas }, { weight: 1, arbitrary: others }), { maxLength: 30 })

/** All that can be seen of a framer, with or without its skimmer, while it takes a stream in the given pieces. */
function seen(pieces: readonly Uint8Array[], skimBytes: number, codex: boolean, fault: Failure | null) {
  const scrub = (text: string) => text.replaceAll("org-secret", "***")
  const notes = new AnswerNotes(NO_LIMITS, () => NOW)
  const framer = new ResponseFramer({ notes, headers: new Headers(), codex, scrub, skimBytes })
  const steps = pieces.map((piece) => {
    const out = framer.push(piece)
    const { phase, events, failure, betweenFrames, lateError } = framer
    return { out: out && Buffer.from(out).toString("latin1"), phase, events, failure, betweenFrames, lateError }
  })
  const last = framer.end(fault)
  const { usage, quotas, responseId, incomplete, phase, lateError } = framer
  return {
    steps,
    last: last && Buffer.from(last).toString("latin1"),
    notes: { usage, quotas, responseId, incomplete, phase, lateError },
  }
}

test("a framer that skims does with every stream and every cut what one does that scans it all", () => {
  const cuts = fc.array(fc.nat(12_000), { maxLength: 12 })
  const options = fc.record({ codex: fc.boolean(), broken: fc.boolean(), opened: fc.boolean() })
  fc.assert(
    fc.property(frames, cuts, options, (list, points, { codex, broken, opened }) => {
      const opening = opened ? reply.slice(0, 3).map(frame).join("") : ""
      const stream = bytes(opening + list.join(""))
      const edges = [0, ...points.filter((at) => at < stream.length).sort((a, b) => a - b), stream.length]
      const pieces = edges.slice(1).map((end, i) => stream.slice(edges[i], end))
      const fault: Failure | null = broken ? { kind: "cut", detail: "x" } : null
      expect(seen(pieces, 0, codex, fault)).toEqual(seen(pieces, Number.POSITIVE_INFINITY, codex, fault))
    }),
    { numRuns: 2_000 },
  )
})
