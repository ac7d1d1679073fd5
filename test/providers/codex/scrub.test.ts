import { expect, test } from "bun:test"
import { ResponseFramer } from "../../../src/providers/codex/framer.ts"
import { NO_LIMITS } from "../../../src/providers/codex/limits.ts"
import { AnswerNotes } from "../../../src/providers/codex/notes.ts"
import { judgeFailure } from "../../../src/providers/codex/verdict.ts"
import { frame } from "../../fakes/openai/events.ts"
import { bytes, cutAt, read } from "./pieces.ts"
import { codexFor, judgeContext, NOW, plainCall, plainLease, VERSION } from "./support.ts"

test("an error event loses what names the account, wherever it is cut, and every other byte stays", () => {
  const failed = (word: string) =>
    frame({ type: "response.failed", response: { id: "r", error: { code: "x", message: `of ${word}` } } })
  const before = frame({ type: "response.output_text.delta", delta: "of org-secret" })
  const stream = bytes(before + failed("org-secret"))
  for (const codex of [false, true]) {
    for (let at = 0; at <= stream.length; at++) {
      const notes = new AnswerNotes(NO_LIMITS, () => NOW)
      const scrub = (text: string) => text.replaceAll("org-secret", "***")
      const framer = new ResponseFramer({ notes, headers: new Headers(), codex, scrub })
      const out = cutAt(stream, at).map((piece) => Buffer.from(framer.push(piece) ?? []).toString())
      const last = framer.end(null)
      if (last !== null) out.push(Buffer.from(last).toString())
      expect({ at, text: out.join("") }).toEqual({ at, text: before + failed("***") })
    }
  }
})

test("an error event behind the last one is looked through like the first", () => {
  const error = (word: string) => frame({ type: "error", code: "server_error", message: `of ${word}` })
  const failed = (word: string) =>
    frame({ type: "response.failed", response: { id: "r", error: { code: "server_error", message: `of ${word}` } } })
  const stream = bytes(error("org-secret") + failed("org-secret"))
  for (let at = 0; at <= stream.length; at++) {
    const notes = new AnswerNotes(NO_LIMITS, () => NOW)
    const scrub = (text: string) => text.replaceAll("org-secret", "***")
    const framer = new ResponseFramer({ notes, headers: new Headers(), codex: false, scrub })
    const out = [...cutAt(stream, at).map((piece) => framer.push(piece)), framer.end(null)]
    const text = Buffer.concat(out.map((piece) => piece ?? new Uint8Array())).toString()
    expect({ at, text }).toEqual({ at, text: error("***") + failed("***") })
  }
})

test("no way to cut an error event into three lets out what names the account", () => {
  const created = frame({ type: "response.created", response: { id: "r" } })
  const data = '{"type":"error","message":"of org-secret"}'
  const lines = 'data: {"type":"error",\ndata: "message":"of org-secret"}'
  const forms = [
    `event: error\ndata: ${data}\n\n`,
    `event:error\r\ndata:${data}\r\n\r\n`,
    `data: ${data}\n\n`,
    `: note\nid: 1\n\nevent: error\ndata: ${data}\n\n`,
    `event: error\n${lines}\n\n`,
    `: note\n\n: more\nevent: error\n${lines}\n\n`,
    `${lines}\nevent: error\n\n`,
    `event: error\ndata: ${data}`,
    `: ${"x".repeat(180)}\nevent: error\ndata: ${data}\n\n`,
    `id: 1\n: ${"x".repeat(150)}\nevent: error\ndata: ${data}\n\n`,
    'data: {"type": "error","message":"of org-secret"}\n\n',
    'data: { "type" : "error", "message":"of org-secret"}\n\n',
    'data: {"message":"of org-secret","type":"error"}\n\n',
  ]
  for (const form of forms) {
    const stream = bytes(created + form)
    const from = created.length - 2
    for (let a = from; a < stream.length; a++) {
      for (let b = a; b < stream.length; b++) {
        const notes = new AnswerNotes(NO_LIMITS, () => NOW)
        const scrub = (text: string) => text.replaceAll("org-secret", "***")
        const framer = new ResponseFramer({ notes, headers: new Headers(), codex: true, scrub })
        const out = [...cutAt(stream, a, b).map((piece) => framer.push(piece)), framer.end(null)]
        const text = Buffer.concat(out.map((piece) => piece ?? new Uint8Array())).toString()
        const found = read(text)
        expect({ form, a, b, found }).toMatchObject({ found: [{}, { event: { type: "error", message: "of ***" } }] })
        expect(found).toHaveLength(2)
      }
    }
  }
})

/** Escapes as many a server writes them: their letters belong to no word. */
const ESCAPED = String.raw`of \u201cjoe@example.com\u201d\norg-AbCdEf123456\trt_abcdefghijklmnop12\u2019sk-abcdefgh12`
const CLEAN = "of \u201cj***@example.com\u201d\n***\t***\u2019***"

test("an error that the client reads word for word stays JSON, and no escape in it hides what names the account", () => {
  const headers = new Headers({ "content-type": "application/json" })
  const body = `{"error":{"type":"invalid_request_error","message":"${ESCAPED}"}}`
  const failure = { kind: "status", status: 400, headers, body } as const
  const { tell } = judgeFailure(failure, plainCall, plainLease, judgeContext(), VERSION)
  expect(JSON.parse(tell.body)).toEqual({ error: { type: "invalid_request_error", message: CLEAN } })
})

test("the same holds for an error event, and a text without such words is not touched", () => {
  const answer = (message: string) => {
    const headers = { "content-type": "text/event-stream" }
    const opened = codexFor(null).provider.open(new Response("", { headers }), plainCall, plainLease)
    if (opened.mode !== "stream") throw new Error("no stream")
    const event = `event: error\ndata: {"type":"error", "n":1.0,"code":"invalid_prompt","message":"${message}"}\n\n`
    return { event, out: Buffer.from(opened.framer.push(bytes(event)) ?? []).toString() }
  }
  expect(read(answer(ESCAPED).out)).toMatchObject([{ name: "error", event: { message: CLEAN } }])
  expect(answer(ESCAPED).out).toStartWith('event: error\ndata: {"type":"error", "n":1.0,"code":"invalid_prompt",')
  const { event, out } = answer(String.raw`\u201cfine\u201d\n`)
  expect(out).toBe(event)
})
