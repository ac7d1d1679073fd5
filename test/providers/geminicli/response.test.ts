import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  AnswerAssembler,
  type AnswerContext,
  ARRAY_FRAME,
  SSE_FRAME,
  StreamFramer,
} from "../../../src/providers/geminicli/response.ts"
import type { Failure } from "../../../src/relay/ports.ts"
import { amid } from "../../support/spans.ts"
import { bytes, text } from "./support.ts"

const learned: string[] = []
const context: AnswerContext = {
  headers: new Headers(),
  learn: (response) => learned.push(text(response)),
  explain: (failure) => JSON.stringify({ error: { code: 503, message: failure.kind, status: "UNAVAILABLE" } }),
}

const answer = (said: string, more: object = {}) => ({
  candidates: [{ content: { role: "model", parts: [{ text: said }] }, ...more }],
  modelVersion: "m",
})
const usage = {
  promptTokenCount: 7,
  candidatesTokenCount: 5,
  thoughtsTokenCount: 3,
  cachedContentTokenCount: 2,
  totalTokenCount: 15,
}
const wrap = (response: object, traceId = "trace-1") => ({ response, traceId })
const STOP = { finishReason: "STOP" }
const three = [wrap(answer("a\n日本😀")), wrap(answer('"b"')), wrap({ ...answer("c", STOP), usageMetadata: usage })]

const frames = (values: readonly object[], eol = "\n") =>
  values.map((value) => `data: ${JSON.stringify(value)}${eol}${eol}`).join("")

interface Result {
  readonly framer: StreamFramer
  readonly out: string
  readonly writes: number
}

function run(chunks: readonly (string | Uint8Array)[], frame = SSE_FRAME, fault: Failure | null = null): Result {
  const framer = new StreamFramer(frame, context, { maxFrameBytes: 1_000_000 })
  let out = ""
  let writes = 0
  const add = (data: Uint8Array | null) => {
    if (data === null) return
    writes++
    out += text(data)
  }
  for (const chunk of chunks) add(framer.push(typeof chunk === "string" ? bytes(chunk) : chunk))
  add(framer.end(fault))
  return { framer, out, writes }
}

const events = (out: string): unknown[] => {
  expect(out).toMatch(/^(?:data: .*\n\n)*$/)
  return out
    .split("\n\n")
    .slice(0, -1)
    .map((event) => JSON.parse(event.slice(6)))
}

const named = (response: object) => ({ ...response, responseId: "trace-1" })
const ERROR = { error: { code: 429, message: "slow down", status: "RESOURCE_EXHAUSTED" } }

describe("an event stream for the client", () => {
  test("holds each response unwrapped, byte for byte, with the trace id as its id", () => {
    const { out, framer } = run(['data: {"response": {"a":1.0, "candidates":[{"x":"\\u00e9"}] }, "traceId": "t"}\n\n'])
    expect(out).toStartWith('data: {"a":1.0, "candidates":[{"x":"\\u00e9"}],"responseId":"t"}\n\n')
    expect(framer.phase).toBe("flowing")
  })

  test("keeps an id of its own, and unknown members", () => {
    const own = { ...answer("a", STOP), responseId: "own", createTime: "now", future: { x: 1 } }
    expect(events(run([frames([wrap(own)])]).out)).toEqual([own])
    expect(run([frames([{ response: {} }])]).out).toStartWith("data: {}\n\n")
    expect(run([frames([wrap({})])]).out).toStartWith('data: {"responseId":"trace-1"}\n\n')
  })

  test("is the same for every cut and every line end", () => {
    const whole = events(run([frames(three)]).out)
    expect(whole).toEqual(three.map(({ response }) => named(response)))
    fc.assert(
      fc.property(
        fc.constantFrom("\n", "\r\n", "\r"),
        fc.array(fc.nat(600), { maxLength: 12 }),
        fc.boolean(),
        (eol, at, noise) => {
          const wire = bytes(
            noise ? `\uFEFF: hello${eol}${eol}${frames(three, eol)}data: [DONE]${eol}${eol}` : frames(three, eol),
          )
          const cuts = [...new Set(at.map((cut) => cut % wire.length))].toSorted((a, b) => a - b)
          const pieces = [0, ...cuts].map((from, i) => wire.slice(from, cuts[i] ?? wire.length))
          expect(events(run(pieces).out)).toEqual(whole)
        },
      ),
      { numRuns: 200 },
    )
    const wire = bytes(frames(three, "\r\n"))
    expect(events(run(Array.from(wire, (byte) => Uint8Array.of(byte))).out)).toEqual(whole)
  })

  test("is whole whatever the order of an event's parts, and whatever stands between two events", () => {
    const response = fc.record(
      {
        candidates: fc.constantFrom([], [{ content: { parts: [{ text: "日本" }] } }]),
        responseId: fc.constant("own"),
        text: fc.string({ unit: "binary", maxLength: 40 }),
      },
      { requiredKeys: [] },
    )
    const event = fc.record({ response, traceId: fc.constantFrom("t", "trace".repeat(30)) }, { requiredKeys: [] })
    const frame = fc.tuple(event, fc.boolean(), fc.constantFrom("", ": a comment\n\n", "data:\n\n", "data: {}\n\n"))
    const ordered = (value: object, turned: boolean) =>
      turned ? Object.fromEntries(Object.entries(value).toReversed()) : value
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(900), { maxLength: 4 }),
        fc.constantFrom(SSE_FRAME, ARRAY_FRAME),
        (list, at, form) => {
          const text = list.map(([value, turned, between]) => frames([ordered(value, turned)]) + between).join("")
          const wire = bytes(text + frames([wrap(answer("z", STOP))]))
          const cuts = [...new Set(at.map((cut) => cut % wire.length))].toSorted((a, b) => a - b)
          const pieces = [0, ...cuts].map((from, i) => wire.slice(from, cuts[i] ?? wire.length))
          const { out } = run(pieces, form)
          const said = form === SSE_FRAME ? events(out) : JSON.parse(out)
          const expected = list.flatMap(([{ response, traceId }]) =>
            response === undefined ? [] : [traceId === undefined ? response : { responseId: traceId, ...response }],
          )
          expect(said).toEqual([...expected, named(answer("z", STOP))])
        },
      ),
      { numRuns: 500 },
    )
  })

  test("one upstream chunk is one write", () => {
    expect(run([frames(three)]).writes).toBe(1)
  })

  test("data over several lines becomes one line", () => {
    const pretty = JSON.stringify(wrap(answer("a", STOP)), null, 2)
    const wire = `${pretty
      .split("\n")
      .map((line) => `data: ${line}`)
      .join("\n")}\n\n`
    expect(events(run([wire]).out)).toEqual([named(answer("a", STOP))])
  })

  test("data without a space and without a last blank line count", () => {
    expect(events(run([`data:${JSON.stringify(wrap(answer("a", STOP)))}`]).out)).toEqual([named(answer("a", STOP))])
  })

  test("takes the usage from the last event that has one", () => {
    const first = wrap({ ...answer("a"), usageMetadata: { promptTokenCount: 7 } })
    const { framer } = run([frames([first, ...three, wrap(answer("d"))])])
    expect(framer.usage).toEqual({ input: 7, output: 8, cached: 2, reasoning: 3 })
    expect(run([frames([wrap(answer("a"))])]).framer.usage).toBeNull()
  })

  test("shows signed parts to the signature store, and no others", () => {
    learned.length = 0
    const signed = {
      candidates: [{ content: { parts: [{ functionCall: { name: "f" }, thoughtSignature: "s" }] }, ...STOP }],
    }
    run([frames([wrap(answer("thoughtSignature")), wrap(signed)])])
    expect(learned.map((json) => JSON.parse(json))).toEqual([signed])
  })
})

describe("before the commit", () => {
  test("an error event is a failure, and so is a plain error body under the wrong label", () => {
    const framer = new StreamFramer(SSE_FRAME, context)
    framer.push(bytes(frames([ERROR])))
    expect(framer.failure).toMatchObject({ kind: "event", body: JSON.stringify(ERROR) })
    for (const body of [JSON.stringify(ERROR, null, 2), JSON.stringify([ERROR])]) {
      const { failure } = run([body.slice(0, 9), body.slice(9)]).framer
      expect(failure?.kind).toBe("event")
    }
    expect(run(["<html>no</html>"]).framer.failure).toMatchObject({ kind: "cut" })
  })

  test("an error event that is wrapped in an array is an error too", () => {
    const wrapped = frames([[ERROR]])
    expect(run([wrapped]).framer.failure).toMatchObject({ kind: "event", body: JSON.stringify([ERROR]) })
    const { out, framer } = run([frames(three.slice(0, 1)), wrapped])
    expect(events(out).at(-1)).toMatchObject({ error: { message: "event" } })
    expect(framer.lateError).toBe(JSON.stringify([ERROR]))
    expect(run([frames([[], [wrap(answer("a"))]])]).framer.failure).toBeNull()
  })

  test("accounting alone opens nothing, a candidate or a blocked prompt does", () => {
    expect(run([frames([wrap({ usageMetadata: usage })])]).framer.phase).toBe("opening")
    expect(run([frames([wrap({ candidates: [] })])]).framer.phase).toBe("opening")
    expect(run([frames([wrap({ candidates: [{}] })])]).framer.phase).toBe("flowing")
    const blocked = run([frames([wrap({ promptFeedback: { blockReason: "SAFETY" } })])])
    expect(blocked.framer.phase).toBe("flowing")
    expect(blocked.framer.incomplete).toBe(false)
    expect(events(blocked.out)).toEqual([named({ promptFeedback: { blockReason: "SAFETY" } })])
  })

  test("ratings of a prompt that was not blocked do not make the answer whole", () => {
    const rated = { ...answer("a"), promptFeedback: { safetyRatings: [{ category: "C", probability: "NEGLIGIBLE" }] } }
    const { framer, out } = run([frames([wrap(rated), wrap(answer("b"))])])
    expect(framer.incomplete).toBe(true)
    expect(events(out).at(-1)).toMatchObject({ error: { message: "cut" } })
  })

  test("a stream with nothing in it has no events", () => {
    for (const body of ["", ": hello\n\n", "data:\n\n"]) {
      const { framer } = run([body])
      expect([framer.events, framer.failure, framer.phase]).toEqual([0, null, "opening"])
    }
  })

  test("an error that comes after a commit for the time passed still reaches the client", () => {
    const { out, framer } = run([frames([wrap({ usageMetadata: usage })]), frames([ERROR])])
    expect(events(out).at(-1)).toMatchObject({ error: { message: "event" } })
    expect(framer.lateError).toBe(JSON.stringify(ERROR))
  })
})

describe("a bad end", () => {
  const reset: Failure = { kind: "cut", detail: "reset" }

  test("an error event is relayed and ends the stream", () => {
    const { out, framer } = run([frames([...three.slice(0, 1), ERROR, ...three])])
    expect(events(out)).toEqual([
      named(answer("a\n日本😀")),
      { error: { code: 503, message: "event", status: "UNAVAILABLE" } },
    ])
    expect([framer.phase, framer.lateError, framer.incomplete]).toEqual(["done", JSON.stringify(ERROR), false])
  })

  test("a broken connection and a missing last event are told by an error event", () => {
    const broken = run([frames(three.slice(0, 1)), 'data: {"respo'], SSE_FRAME, reset)
    expect(events(broken.out).at(-1)).toMatchObject({ error: { message: "cut" } })
    const short = run([frames(three.slice(0, 2))])
    expect(short.framer.incomplete).toBe(true)
    expect(events(short.out).at(-1)).toMatchObject({ error: { message: "cut" } })
    const silent = run([frames(three.slice(0, 1))], SSE_FRAME, { kind: "timeout", stage: "idle" })
    expect(events(silent.out).at(-1)).toMatchObject({ error: { message: "timeout" } })
  })

  test("a break behind the last event takes nothing from the client", () => {
    const { out, framer } = run([frames(three)], SSE_FRAME, reset)
    expect(events(out)).toHaveLength(3)
    expect(framer.incomplete).toBe(false)
  })

  test("an endless event is given up", () => {
    const { out, framer } = run([frames(three.slice(0, 1)), `data: ${"x".repeat(2_000_000)}`])
    expect(events(out).at(-1)).toMatchObject({ error: { message: "cut" } })
    expect([framer.phase, framer.incomplete]).toEqual(["done", true])
  })

  test("end is said once", () => {
    const { framer } = run([frames(three)])
    expect(framer.end({ kind: "cut", detail: "again" })).toBeNull()
  })

  test("no bytes make it throw", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), fc.boolean(), (chunks, faulty) => {
        run(chunks, ARRAY_FRAME, faulty ? reset : null)
      }),
    )
  })
})

describe("silence in an event stream", () => {
  // As @google/generative-ai 0.24 reads: nothing but such events may stand there.
  const strict = (out: string) => {
    expect(out).toMatch(/^(?:data: .*\n\n)*$/)
    return out.split("\n\n").flatMap((event) => (event === "" ? [] : [JSON.parse(event.slice(6))]))
  }
  const kept = (framer: StreamFramer) => {
    const bytes = framer.keepAlive
    framer.kept()
    return bytes
  }

  test("is filled with the beginning of the next event, for clients that know no comments", () => {
    const framer = new StreamFramer(SSE_FRAME, context)
    const pieces = [
      kept(framer),
      kept(framer),
      framer.push(bytes(frames(three.slice(0, 1)))),
      framer.push(bytes(frames(three.slice(1, 2)))),
      kept(framer),
      kept(framer),
      framer.push(bytes("data: [DONE]\n\n")),
      framer.push(bytes(frames(three.slice(2)))),
    ]
    // No event has to follow the last one.
    expect([framer.keepAlive, framer.end(null)]).toEqual([null, null])
    expect(strict(pieces.map(text).join(""))).toEqual(three.map(({ response }) => named(response)))
  })

  test("leaves no event open at a bad end", () => {
    for (const end of [null, { kind: "timeout", stage: "idle" }, { kind: "cut", detail: "reset" }] as const) {
      const framer = new StreamFramer(SSE_FRAME, context)
      const pieces = [framer.push(bytes(frames(three.slice(0, 1)))), kept(framer), framer.end(end)]
      expect(strict(pieces.map(text).join("")).at(-1)).toHaveProperty("error")
    }
    const framer = new StreamFramer(SSE_FRAME, context)
    const pieces = [framer.push(bytes(frames(three.slice(0, 1)))), kept(framer), framer.push(bytes(frames([ERROR])))]
    expect(strict(pieces.map(text).join("")).at(-1)).toHaveProperty("error")
  })
})

describe("one JSON array for the client", () => {
  const array = (chunks: readonly string[], fault: Failure | null = null) =>
    JSON.parse(run(chunks, ARRAY_FRAME, fault).out)

  test("is JSON whatever comes, with white space for silence", () => {
    expect(array([frames(three)])).toEqual(three.map(({ response }) => named(response)))
    expect(array([frames(three.slice(0, 1))]).at(-1)).toMatchObject({ error: { message: "cut" } })
    expect(array([frames([...three.slice(0, 1), ERROR])]).at(-1)).toMatchObject({ error: { message: "event" } })
    expect(array([""])).toHaveLength(1)
    const framer = new StreamFramer(ARRAY_FRAME, context)
    const pieces = [
      framer.keepAlive,
      framer.push(bytes(frames(three.slice(0, 2)))),
      framer.keepAlive,
      framer.push(bytes(frames(three.slice(2)))),
      framer.keepAlive,
      framer.end(null),
    ]
    expect(JSON.parse(pieces.map(text).join(""))).toHaveLength(3)
  })
})

describe("a whole answer", () => {
  const whole = (body: string, wrapped = true) => {
    const assembler = new AnswerAssembler(wrapped, context)
    for (let i = 0; i < body.length; i += 10) assembler.push(amid(bytes(body.slice(i, i + 10))))
    const result = assembler.finish()
    // The same in one piece, as most answers come.
    const atOnce = new AnswerAssembler(wrapped, context)
    atOnce.push(amid(bytes(body)))
    expect([atOnce.finish(), atOnce.usage]).toEqual([result, assembler.usage])
    return {
      result,
      assembler,
      body: "kind" in result ? null : JSON.parse(typeof result.body === "string" ? result.body : text(result.body)),
    }
  }

  test("is unwrapped, counted and learned from", () => {
    const { body, assembler } = whole(JSON.stringify(wrap({ ...answer("a", STOP), usageMetadata: usage })))
    expect(body).toEqual(named({ ...answer("a", STOP), usageMetadata: usage }))
    expect(assembler.usage).toEqual({ input: 7, output: 8, cached: 2, reasoning: 3 })
  })

  test("an answer without a candidate is empty, a blocked prompt is an answer", () => {
    expect(whole(JSON.stringify(wrap({ usageMetadata: usage }))).result).toEqual({ kind: "empty" })
    expect(whole("").result).toEqual({ kind: "empty" })
    expect(whole(JSON.stringify(wrap({ promptFeedback: { blockReason: "SAFETY" } }))).body).toEqual(
      named({ promptFeedback: { blockReason: "SAFETY" } }),
    )
  })

  test("an error inside a 200 is a failure, other texts are cut answers", () => {
    expect(whole(JSON.stringify(ERROR)).result).toMatchObject({ kind: "event" })
    expect(whole(JSON.stringify([ERROR])).result).toMatchObject({ kind: "event" })
    for (const body of ["<html>", '{"response":{"candidates":[{"a":1', "{}", "[]", '{"response":[]}'])
      expect(whole(body).result).toMatchObject({ kind: "cut" })
  })

  test("a count is handed on as it is", () => {
    expect(whole('{"totalTokens": 31, "x": 1.0}', false).body).toEqual({ totalTokens: 31, x: 1 })
    expect(whole(JSON.stringify(ERROR), false).result).toMatchObject({ kind: "event" })
    expect(whole("nonsense", false).result).toMatchObject({ kind: "cut" })
  })
})
