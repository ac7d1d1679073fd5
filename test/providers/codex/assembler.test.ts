import { expect, test } from "bun:test"
import fc from "fast-check"
import { JsonAssembler, StreamAssembler } from "../../../src/providers/codex/assembler.ts"
import { MAX_ITEM_BYTES } from "../../../src/providers/codex/item-list.ts"
import { NO_LIMITS } from "../../../src/providers/codex/limits.ts"
import { AnswerNotes } from "../../../src/providers/codex/notes.ts"
import { type Event, eventsOf, failureEvent, frame, type Reply } from "../../fakes/openai/events.ts"
import { amid } from "../../support/spans.ts"
import { NOW } from "./support.ts"

const notes = () => new AnswerNotes(NO_LIMITS, () => NOW)
const bytes = (text: string) => new Uint8Array(Buffer.from(text))

function assemble(pieces: readonly (string | Uint8Array)[]) {
  const assembler = new StreamAssembler(notes(), new Headers())
  for (const piece of pieces) assembler.push(amid(typeof piece === "string" ? bytes(piece) : piece))
  const built = assembler.finish()
  return { assembler, built, value: "kind" in built ? null : Object(JSON.parse(String(built.body))) }
}

const stream = (reply: Reply) => eventsOf(reply, { model: "m" }, 1)
const items = (events: readonly Event[]) =>
  events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item)

test("an empty output is rebuilt from the items that were streamed, in their order", () => {
  const events = stream({ text: ["a", "b"], calls: [{ name: "f", arguments: "{}" }], encrypted: "e" })
  const { value, assembler } = assemble(events.map(frame))
  expect(value.output).toEqual(items(events))
  expect(value.status).toBe("completed")
  expect(value.object).toBe("response")
  expect(assembler.done).toBeTrue()
  expect(assembler.usage?.input).toBeNumber()
  expect(assembler.responseId).toBe(`r:${value.id}`)
})

test("an answer that may be read is not emptied for the size of its items", () => {
  const done = (index: number) => {
    const item = { type: "image_generation_call", id: `ig_${index}`, result: "x".repeat(MAX_ITEM_BYTES / 2) }
    return frame({ type: "response.output_item.done", output_index: index, item })
  }
  const completed = frame({ type: "response.completed", response: { id: "r", status: "completed", output: [] } })
  const { value } = assemble([done(0), done(1), done(2), completed])
  expect(value.output.map(({ id }: { id: string }) => id)).toEqual(["ig_0", "ig_1", "ig_2"])
})

test("an output that is there is kept", () => {
  const events = stream({ text: ["a"] })
  const own = events.map((e) =>
    e.type === "response.completed" ? { ...e, response: { ...Object(e.response), output: [{ type: "x" }] } } : e,
  )
  expect(assemble(own.map(frame)).value.output).toEqual([{ type: "x" }])
})

/** A last event around what is put into it. */
const completed = (inside: string, type = "response.completed") =>
  `event: ${type}\ndata: {"type":"${type}",${inside}}\n\n`
const details = '"usage":{"input_tokens":1,"input_tokens_details":{},"output_tokens_details":{}}'

test("an answer that lacks nothing is the upstream's own text, to the byte", () => {
  const own = `{"id": "resp_1",  "output":[{"type":"message","text":"\\u00e9 }"}],${details},"number":1.0}`
  for (const type of ["response.completed", "response.incomplete"]) {
    for (const before of ['"sequence_number":7,"response":', '"response":']) {
      const { built, assembler } = assemble([completed(before + own, type)])
      expect(built).toEqual({ body: own, status: 200 })
      expect(assembler.responseId).toBe("r:resp_1")
      expect(assembler.usage?.input).toBe(1)
    }
  }
})

test("a last event in any other form says the same, however its members stand", () => {
  const own = `{"id":"resp_1","output":[{"type":"message"}],${details}}`
  const forms = [
    `"response":${own},"sequence_number":7`,
    `"response": ${own}`,
    `"sequence_number":7,"response":{"id":"other"},"response":${own}`,
    `"sequence_number":7,"other":{"response":1},"response":${own}`,
    `"sequence_number":-1,"response":${own}`,
    `"response":${own} `,
  ]
  for (const form of forms) expect(assemble([completed(form)]).value).toEqual(JSON.parse(own))
  for (const broken of [`"response":${own}}`, '"response":[]', '"response":1', `"response":${own.slice(0, -1)}`]) {
    expect(assemble([completed(broken)]).built).toMatchObject({ kind: "cut" })
  }
})

test("the id is the answer's own, and that of the response that began where it has none", () => {
  const created = frame({ type: "response.created", response: { id: "resp_0" } })
  expect(assemble([created, completed('"response":{"id":"resp_1","output":[]}')]).assembler.responseId).toBe("r:resp_1")
  expect(assemble([created, completed('"response":{"output":[]}')]).assembler.responseId).toBe("r:resp_0")
})

test("every way to cut the stream gives the same answer", () => {
  const text = bytes(
    stream({ text: ["Grüße ", "日本語😀"], calls: [{ name: "f", arguments: "{}" }] })
      .map(frame)
      .join(""),
  )
  const expected = assemble([text]).value
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), (cuts) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), text.length]
      expect(assemble(edges.slice(1).map((end, i) => text.slice(edges[i], end))).value).toEqual(expected)
    }),
  )
  expect(assemble([...text].map((byte) => new Uint8Array([byte]))).value).toEqual(expected)
})

test("an item that was begun and never said to be done is put together from its deltas", () => {
  const events = stream({ text: ["Hel", "lo"], calls: [{ name: "f", arguments: '{"a":1}' }] })
  const without = events.filter(({ type }) => type !== "response.output_item.done")
  expect(assemble(without.map(frame)).value.output).toMatchObject([
    { type: "function_call", name: "f", arguments: '{"a":1}' },
    { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello" }] },
  ])
  const deltasOnly = without.filter(({ type }) => !type.endsWith(".done"))
  expect(assemble(deltasOnly.map(frame)).value.output).toMatchObject([
    { arguments: '{"a":1}' },
    { content: [{ text: "Hello" }] },
  ])
  // One of two open items ends, the other does not.
  const call = events.find(({ type, output_index }) => type === "response.output_item.done" && output_index === 0)
  const added = without.filter(({ type }) => type === "response.output_item.added")
  const mixed = [...added, call ?? { type: "" }, ...without.filter(({ output_index }) => output_index === 1)]
  const output = assemble([...mixed, ...events.slice(-1)].map(frame)).value.output
  expect(output.map((item: Event) => item.type)).toEqual(["function_call", "message"])
})

test("an incomplete answer is an answer, with its reason", () => {
  const events = stream({ text: ["a"], end: "incomplete", incompleteReason: "max_output_tokens" })
  const { value, built } = assemble(events.map(frame))
  expect(built).toMatchObject({ status: 200 })
  expect(value).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })
  expect(value.output).toEqual(items(events))
})

test("failed and error events are failures, and end the reading", () => {
  for (const shape of ["response.failed", "error"] as const) {
    const failed = failureEvent(shape, "server_is_overloaded", "busy", {}, 3)
    const { built, assembler } = assemble([...stream({ text: ["a"] }).slice(0, 4), failed].map(frame))
    expect(built).toMatchObject({ kind: "event" })
    expect(assembler.failure).toEqual("kind" in built ? built : null)
  }
})

test("a stream that ends early is cut, an empty one is empty", () => {
  const events = stream({ text: ["a"] })
  expect(assemble(events.slice(0, -1).map(frame)).built).toMatchObject({ kind: "cut" })
  expect(assemble([]).built).toEqual({ kind: "empty" })
  expect(assemble([": comment\n\n", "data: [DONE]\n\n"]).built).toEqual({ kind: "empty" })
  expect(assemble(["<html>not a stream</html>"]).built).toEqual({ kind: "empty" })
})

test("a last event without its blank line still counts", () => {
  const text = stream({ text: ["a"] })
    .map(frame)
    .join("")
  expect(assemble([text.slice(0, -2)]).value).toMatchObject({ status: "completed" })
  expect(assemble([text.slice(0, -9)]).built).toMatchObject({ kind: "cut" })
})

test("usage always has both of its details, as the SDKs declare", () => {
  const events = stream({ text: ["a"], usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 } })
  expect(assemble(events.map(frame)).value.usage).toEqual({
    input_tokens: 3,
    output_tokens: 4,
    total_tokens: 7,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens_details: { reasoning_tokens: 0 },
  })
})

test("no bytes make the assembler throw", () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.jsonValue().map((value) => bytes(`event: response.output_item.done\ndata: ${JSON.stringify(value)}\n\n`)),
    fc.jsonValue().map((value) => bytes(`event: response.completed\ndata: {"response":${JSON.stringify(value)}}\n\n`)),
    fc.constantFrom(...stream({ text: ["x"] })).map((event) => bytes(frame(event))),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const { built } = assemble(pieces)
      if (!("kind" in built)) expect(JSON.parse(String(built.body))).toBeObject()
    }),
  )
})

function json(text: string, asStream = false) {
  const assembler = new JsonAssembler(notes(), new Headers(), asStream)
  assembler.push(amid(bytes(text.slice(0, 5))))
  assembler.push(amid(bytes(text.slice(5))))
  return assembler.finish()
}

test("a JSON answer passes as it is, and an error in it is a failure", () => {
  const text = '{"id":"resp_1","output":[{"type":"compaction"}],"error":null, "n": 1e3}'
  expect(json(text)).toEqual({ body: text, status: 200 })
  expect(json('{"error":{"code":"server_error"}}')).toMatchObject({ kind: "event" })
  expect(json('{"detail":"no"}')).toMatchObject({ kind: "event" })
  expect(json("")).toEqual({ kind: "empty" })
  expect(json("<html>")).toMatchObject({ kind: "cut" })
})

test("a client that asked for a stream gets a JSON answer as one", () => {
  const built = json('{"id":"resp_1","object":"response","status":"completed","output":[{"type":"message"}]}', true)
  const text = "kind" in built ? "" : String(built.body)
  expect(text.match(/^event: .*/gm)).toEqual(["event: response.created", "event: response.completed"])
  expect(text).toContain('"output":[{"type":"message"}]')
})
