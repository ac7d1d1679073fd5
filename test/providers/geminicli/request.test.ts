import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { systemClock } from "../../../src/observe/clock.ts"
import {
  envelopeFor,
  narrowCount,
  parseRequest,
  sessionHeaders,
  trimmed,
} from "../../../src/providers/geminicli/request.ts"
import { Signatures } from "../../../src/providers/geminicli/signatures.ts"
import { judge } from "../../../src/providers/geminicli/verdict.ts"
import { Wrapper } from "../../../src/providers/geminicli/wrapper.ts"
import { bytes, callOf, contextOf, hello, leaseOf, status, text, textIn } from "./support.ts"

const asked = {
  model: "gemini-2.5-pro",
  verb: "generateContent",
  form: "unary",
  sessions: [],
  promptId: bytes("prompt-1"),
} as const
const who = { project: "the-project", credential: 1 }
const sent = (body: unknown, over: Parameters<typeof callOf>[1] = {}) =>
  textIn(envelopeFor(callOf(body, { ...asked, ...over }), who, new Signatures(systemClock), new Wrapper()))
const faultOf = (body: string | Uint8Array) =>
  parseRequest(typeof body === "string" ? bytes(body) : body, asked).fault?.kind ?? null

describe("the envelope around a request", () => {
  test("holds the client's bytes unchanged when nothing has to change", () => {
    const body = ` {"contents" : [{"role":"user","parts":[{"text":"\\u00e9 \\ud83d\\ude00 日本"}]}],"unknown":{"n":12345678901234567890,"e":1E400},"generationConfig":{}} `
    expect(sent(body)).toBe(
      `{"model":"gemini-2.5-pro","project":"the-project","user_prompt_id":"prompt-1","request":${body}}`,
    )
  })

  test("leaves the project out where the account has none", () => {
    const call = callOf(hello, asked)
    const envelope = textIn(envelopeFor(call, { ...who, project: "" }, new Signatures(systemClock), new Wrapper()))
    expect(Object.keys(JSON.parse(envelope))).toEqual(["model", "user_prompt_id", "request"])
  })

  test("whatever object a client sends, it stays in its place, and nothing that counts is lost", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (body) => {
        const envelope = JSON.parse(sent(body))
        expect(Object.keys(envelope)).toEqual(["model", "project", "user_prompt_id", "request"])
        expect(envelope.model).toBe("gemini-2.5-pro")
        const known = new Set(["contents", "systemInstruction", "system_instruction", "model", "tools"])
        for (const [key, value] of Object.entries(JSON.parse(JSON.stringify(body))))
          if (!known.has(key) && !key.includes("_")) expect(envelope.request[key]).toEqual(value)
      }),
    )
  })
})

describe("a body that is not exactly one JSON object", () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
  test.each([
    ["text behind the object", '{},"model":"x"'],
    ["two objects", "{}{}"],
    ["nothing", ""],
    ["a cut text", '{"contents":['],
    ["NaN", '{"a":NaN}'],
    ["a byte order mark", "\uFEFF{}"],
    ["a comment", "{}//"],
    ["single quotes", "{'a':1}"],
    ["deep nesting", deep],
    ["deep nesting inside a request", `{"contents":[],"x":${deep}}`],
    ["15 million brackets", "[".repeat(15_000_000)],
  ])("%s is no JSON", (_, body) => expect(faultOf(body)).toBe("invalid_json"))

  test.each([
    ["an array", "[]"],
    ["a text", '"{}"'],
    ["null", "null"],
  ])("%s is no request", (_, body) => expect(faultOf(body)).toBe("invalid_request"))

  test("bytes that are not UTF-8 are refused", () => {
    expect(faultOf(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))).toBe("invalid_json")
    expect(faultOf(Uint8Array.of(...bytes('{"a":"'), 0xed, 0xa0, 0x80, ...bytes('"}')))).toBe("invalid_json")
  })

  test.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("a member called %s is a member", (key) => {
    const body = `{"${key}":{"names":1},"tools":[{"${key}":{}}],"contents":[{"role":"user","parts":[{"${key}":{"a_b":1}}]}]}`
    expect(sent(body)).toEndWith(`"request":${body}}`)
  })

  test("no bytes make it throw", () => {
    fc.assert(fc.property(fc.uint8Array(), (body) => void parseRequest(body, asked)))
    fc.assert(fc.property(fc.json(), (body) => void parseRequest(bytes(body), asked)))
  })

  test("__proto__ and duplicate keys are passed on and change nothing here", () => {
    const body = '{"__proto__":{"contents":1},"contents":[],"contents":[{"role":"user","parts":[{"text":"x"}]}]}'
    expect(sent(body)).toEndWith(`"request":${body}}`)
  })
})

describe("the least changes that Cloud Code needs", () => {
  const request = (body: unknown, over: Parameters<typeof callOf>[1] = {}) => JSON.parse(sent(body, over)).request

  test("a model in the body is dropped", () => {
    expect(request({ model: "models/gemini-2.5-pro", ...hello })).toEqual(hello)
    expect(request({ model: "x" })).toEqual({})
  })

  test("snake case becomes camel case where both are not given", () => {
    expect(
      request({
        ...hello,
        system_instruction: { parts: [{ text: "be brief" }] },
        generation_config: {
          max_output_tokens: 5,
          thinking_config: { thinking_budget: 1, include_thoughts: true },
          response_schema: { type: "OBJECT", properties: { max_output_tokens: { type: "STRING" } } },
        },
        tools: [
          { function_declarations: [{ name: "f", parameters_json_schema: { my_field: 1 } }] },
          { google_search: {} },
        ],
        tool_config: { function_calling_config: { mode: "ANY", allowed_function_names: ["f"] } },
      }),
    ).toEqual({
      ...hello,
      systemInstruction: { parts: [{ text: "be brief" }] },
      generationConfig: {
        maxOutputTokens: 5,
        thinkingConfig: { thinkingBudget: 1, includeThoughts: true },
        responseSchema: { type: "OBJECT", properties: { max_output_tokens: { type: "STRING" } } },
      },
      tools: [{ functionDeclarations: [{ name: "f", parametersJsonSchema: { my_field: 1 } }] }, { googleSearch: {} }],
      toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["f"] } },
    })
    const both = {
      ...hello,
      system_instruction: { parts: [{ text: "a" }] },
      systemInstruction: { parts: [{ text: "b" }] },
    }
    expect(request(both)).toEqual(both)
  })

  test("a body that begins in snake case is whole where something is added to it", () => {
    const body = '{"system_instruction":"Be brief.","contents":[{"role":"model","parts":[{"thought_signature":"s"}]}]}'
    const contents = [{ role: "model", parts: [{ text: "", thoughtSignature: "s" }] }]
    const systemInstruction = { parts: [{ text: "Be brief." }] }
    expect(JSON.parse(sent(body, { sessions: ["talk"] })).request).toEqual({
      session_id: "talk",
      systemInstruction,
      contents,
    })
    expect(JSON.parse(sent(body, { verb: "countTokens" })).request).toEqual({
      model: "models/gemini-2.5-pro",
      systemInstruction,
      contents,
    })
  })

  test("parts spelled in snake case keep what they hold", () => {
    const contents = [
      { role: "user", parts: [{ inline_data: { mime_type: "image/png", data: "AA==" } }] },
      { role: "model", parts: [{ function_call: { name: "f", args: { my_arg: 1 } }, thought_signature: "c2ln" }] },
      { role: "user", parts: [{ function_response: { name: "f", response: { my_result: 2 } } }] },
    ]
    expect(request({ contents })).toEqual({
      contents: [
        { role: "user", parts: [{ inlineData: { mimeType: "image/png", data: "AA==" } }] },
        { role: "model", parts: [{ functionCall: { name: "f", args: { my_arg: 1 } }, thoughtSignature: "c2ln" }] },
        { role: "user", parts: [{ functionResponse: { name: "f", response: { my_result: 2 } } }] },
      ],
    })
  })

  test("a text as system instruction becomes a content, an empty one goes", () => {
    expect(request({ ...hello, systemInstruction: "be brief" }).systemInstruction).toEqual({
      parts: [{ text: "be brief" }],
    })
    expect(request({ ...hello, system_instruction: 'say "no"' }).systemInstruction).toEqual({
      parts: [{ text: 'say "no"' }],
    })
    expect(request({ ...hello, systemInstruction: "" })).toEqual(hello)
    expect(request({ ...hello, systemInstruction: { parts: [] } })).toEqual(hello)
  })

  test("empty parts and empty contents go, everything else stays", () => {
    const contents = [
      { role: "user", parts: [{}, { text: "" }, null, { text: "a" }] },
      { role: "model", parts: [] },
      { role: "model", parts: [{}] },
      { role: "model" },
      { role: "user", parts: [{ futureData: 1 }] },
    ]
    expect(request({ contents }).contents).toEqual([
      { role: "user", parts: [{ text: "" }, { text: "a" }] },
      { role: "user", parts: [{ futureData: 1 }] },
    ])
  })

  test("a part that lost its empty text keeps its signature", () => {
    const contents = [{ role: "model", parts: [{ text: "a" }, { thoughtSignature: "c2ln" }] }]
    expect(request({ contents }).contents[0].parts[1]).toEqual({ text: "", thoughtSignature: "c2ln" })
  })

  test("missing roles are filled in by what is said", () => {
    const contents = [
      { parts: [{ text: "a" }] },
      { role: null, parts: [{ functionCall: { name: "f", args: {} } }] },
      { role: "", parts: [{ functionResponse: { name: "f", response: {} } }] },
    ]
    expect(request({ contents }).contents.map((content: { role: string }) => content.role)).toEqual([
      "user",
      "model",
      "user",
    ])
  })

  test("odd shapes are left for the upstream to judge", () => {
    for (const contents of [
      "hi",
      { parts: "x" },
      [["a"]],
      ["b"],
      [{ role: "user", parts: "x" }],
      [{ role: "user", parts: { text: "x" } }],
    ])
      expect(request({ contents })).toEqual({ contents })
  })

  test("integers beyond 2^53 survive a change beside them", () => {
    const body = '{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{"id":12345678901234567890}}}]}]}'
    expect(sent(body)).toContain('"id":12345678901234567890')
  })
})

describe("names of the session", () => {
  test("come from headers and from the body, the header's goes upstream", () => {
    const call = callOf({ ...hello, session_id: "of-body" }, { ...asked, sessions: ["of-header"] })
    expect(call.sessions).toEqual(["of-header", "of-body"])
    expect(JSON.parse(sent(hello, { sessions: ["of-header"] })).request.session_id).toBe("of-header")
    expect(JSON.parse(sent({ ...hello, session_id: "mine" }, { sessions: ["of-header"] })).request.session_id).toBe(
      "mine",
    )
    expect(JSON.parse(sent(hello)).request).toEqual(hello)
  })

  test("a header of any usual spelling is read", () => {
    expect(sessionHeaders(new Headers({ "x-session-id": " b ", "session-id": "a" }))).toEqual(["a", "b"])
    expect(sessionHeaders(new Headers({ "session-id": " " }))).toEqual([])
  })
})

describe("countTokens", () => {
  const count = { verb: "countTokens", form: "unary" } as const
  const counted = (body: unknown) => JSON.parse(sent(body, count))

  test("counts the whole prompt under the model's name, without what has no tokens", () => {
    const body = {
      ...hello,
      systemInstruction: { parts: [{ text: "s" }] },
      tools: [],
      safetySettings: [],
      model: "models/x",
    }
    expect(counted(body)).toEqual({
      request: { model: "models/gemini-2.5-pro", ...hello, systemInstruction: { parts: [{ text: "s" }] }, tools: [] },
    })
  })

  test("takes the form with generateContentRequest", () => {
    expect(counted({ generateContentRequest: { model: "models/other", ...hello, tools: [] } })).toEqual({
      request: { model: "models/gemini-2.5-pro", ...hello, tools: [] },
    })
  })

  test("can be cut down to what the official client sends, once", () => {
    const call = callOf({ ...hello, tools: [], toolConfig: {} }, { ...asked, ...count })
    const narrow = narrowCount(call)
    expect(JSON.parse(text(narrow?.request))).toEqual({ model: "models/gemini-2.5-pro", ...hello })
    expect(narrow === null ? null : narrowCount(narrow)).toBeNull()
    expect(narrowCount(callOf(hello, { ...asked, ...count }))).toBeNull()
  })
})

describe("the call that is kept as long as its stream runs", () => {
  const long = "x".repeat(100_000)
  const asking = (part: unknown) => callOf({ contents: [{ role: "user", parts: [{ text: long }, part] }] })
  const file = { fileData: { fileUri: "https://files.invalid/1" } }

  test("has lost its body, and what only a further attempt sends", () => {
    expect(trimmed(asking({ text: "hi" })).request.length).toBe(0)
    expect(trimmed(asking(file)).request.length).toBeLessThan(100)
    const { request, promptId } = trimmed(callOf(hello))
    expect([request.length, promptId.length]).toEqual([0, 0])
  })

  test("is judged as the whole one is", () => {
    for (const part of [{ text: "hi" }, file]) {
      for (const code of [400, 401, 403, 404, 429, 500]) {
        const failure = status(code, { error: { code, message: "Permission denied on the thing.", status: "X" } })
        const [whole, kept] = [asking(part), trimmed(asking(part))].map((call) =>
          judge(failure, call, leaseOf(), contextOf()),
        )
        expect(kept).toEqual(whole)
      }
    }
  })
})
