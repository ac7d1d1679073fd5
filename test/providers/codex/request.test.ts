import { expect, test } from "bun:test"
import fc from "fast-check"
import { isTooDeep } from "../../../src/http/nesting.ts"
import { HttpError } from "../../../src/http/ports.ts"
import { isLite, normalise, normaliseCompact, parseBody } from "../../../src/providers/codex/request.ts"
import { refuseCompact, refuseResponses } from "../../fakes/openai/rules.ts"
import { amid } from "../../support/spans.ts"

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (body: Uint8Array | string) => (typeof body === "string" ? body : new TextDecoder().decode(body))

function normal(body: object, options: { lite?: boolean; refused?: string[]; cacheKey?: string } = {}) {
  const bytes = encode(JSON.stringify({ model: "m", ...body }))
  const made = normalise(parseBody(amid(bytes)), options.lite ?? false, options.refused ?? [], options.cacheKey ?? null)
  const value: Record<string, unknown> = JSON.parse(decode(made.body))
  return { ...made, value, bytes }
}

const fine = {
  instructions: "",
  store: false,
  stream: true,
  include: ["reasoning.encrypted_content"],
  input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }],
}

test("a body that is already as the backend wants it goes through in its own bytes", () => {
  const text = `{ "model":"m","instructions" : "", "store":false,"stream":true, "input":[],"include":["reasoning.encrypted_content"],
    "seed2": 18446744073709551615, "a":1e400 }`
  const bytes = encode(text)
  const { body } = normalise(parseBody(amid(bytes)), false, [], null)
  expect(body).toBeInstanceOf(Uint8Array)
  expect(decode(body)).toBe(text)
})

test("what is only missing is put in front, and the client's bytes stay", () => {
  const { body, value } = normal({ input: [], tools: [{ type: "function", name: "f", big: 1 }] })
  expect(decode(body)).toEndWith('"model":"m","input":[],"tools":[{"type":"function","name":"f","big":1}]}')
  expect(value).toMatchObject({ instructions: "", store: false, stream: true, parallel_tool_calls: true })
  expect(value.include).toEqual(["reasoning.encrypted_content"])
})

test.each([
  [
    '{ "model":"m" , "instructions" : "","store":true,\n"stream" : false, "input":[],"include":["reasoning.encrypted_content"], "a":1e400}',
    '{ "model":"m" , "instructions" : "","store":false,\n"stream" : true, "input":[],"include":["reasoning.encrypted_content"], "a":1e400}',
  ],
  [
    '\ufeff{"stream":false,"model":"m","input":[],"a":18446744073709551615}',
    '{"instructions":"","store":false,"include":["reasoning.encrypted_content"],"stream":true,"model":"m","input":[],"a":18446744073709551615}',
  ],
])("where only flags are to be turned over, the client's text stays around them", (text, sent) => {
  const bytes = encode(text)
  expect(decode(normalise(parseBody(amid(bytes)), false, [], null).body)).toBe(sent)
})

test("a flag that is not plainly to be found is turned over all the same", () => {
  const { value } = normal({ ...fine, stream: false, store: true, prompt: null, x: { stream: [] } })
  expect(value).toEqual({ model: "m", ...fine, x: { stream: [] } })
})

test("text as input becomes a message, and null an empty list", () => {
  expect(normal({ input: "hi" }).value.input).toEqual(fine.input)
  expect(normal({ input: null }).value.input).toEqual([])
  expect(normal({}).value.input).toEqual([])
})

test("stream, store and instructions are what the backend demands, whatever the client said", () => {
  expect(normal({ stream: false, store: true, instructions: null }).value).toMatchObject({
    stream: true,
    store: false,
    instructions: "",
  })
  expect(normal({ instructions: "Be brief." }).value.instructions).toBe("Be brief.")
})

test("parameters that the backend refuses are left out and named for the log", () => {
  const refused = {
    max_output_tokens: 1,
    temperature: 1,
    top_p: 1,
    user: "u",
    metadata: {},
    truncation: "auto",
    safety_identifier: "s",
    prompt_cache_retention: "24h",
    context_management: {},
    stream_options: {},
    background: false,
    previous_response_id: "resp_1",
  }
  const { value, dropped } = normal({ ...fine, ...refused })
  expect(value).toEqual({ model: "m", ...fine })
  expect([...dropped].sort()).toEqual(Object.keys(refused).sort())
  expect(normal({ ...fine, frobnicate: 1 }).value.frobnicate).toBe(1)
  expect(normal({ ...fine, frobnicate: 1 }, { refused: ["frobnicate"] }).value).toEqual({ model: "m", ...fine })
})

test("tiers, includes, tools and parallel calls follow their rules", () => {
  const tier = (service_tier: unknown) => normal({ ...fine, service_tier }).value.service_tier
  expect([tier("fast"), tier("priority"), tier("flex")]).toEqual(["priority", "priority", "flex"])
  expect([tier("auto"), tier("default"), tier(null), tier(3)]).toEqual([undefined, undefined, undefined, undefined])

  const include = (value: unknown) => normal({ ...fine, include: value }).value.include
  expect(include([])).toEqual(["reasoning.encrypted_content"])
  expect(include(["file_search_call.results", "unheard.of"])).toEqual([
    "file_search_call.results",
    "reasoning.encrypted_content",
  ])

  const tools = [
    { type: "namespace", tools: [] },
    { type: "web_search_preview", x: 1 },
    { type: "function", name: "f", strict: null },
  ]
  expect(normal({ ...fine, tools }).value.tools).toEqual([tools[0], { type: "web_search", x: 1 }, tools[2]])
  const choice = (tool_choice: unknown) => normal({ ...fine, tools, tool_choice }).value.tool_choice
  expect(choice({ type: "web_search_preview" })).toEqual({ type: "web_search" })
  expect(choice({ type: "allowed_tools", mode: "auto", tools })).toMatchObject({
    mode: "auto",
    tools: [tools[0], { type: "web_search", x: 1 }, tools[2]],
  })
  for (const other of ["auto", { type: "function", name: "f" }, { type: "allowed_tools", tools: [tools[0]] }]) {
    expect(choice(other)).toEqual(other)
  }
  expect(normal({ ...fine, tools: [], parallel_tool_calls: true }).value).not.toHaveProperty("parallel_tool_calls")
  expect(normal({ ...fine, tools, parallel_tool_calls: false }).value.parallel_tool_calls).toBeFalse()

  expect(normal({ ...fine, reasoning: { effort: "high", context: "x", future: 1 } }).value.reasoning).toEqual({
    effort: "high",
    context: "x",
    future: 1,
  })
})

test("the session's name becomes the cache key only where the client gives none", () => {
  expect(normal(fine, { cacheKey: "s-1" }).value.prompt_cache_key).toBe("s-1")
  expect(normal({ ...fine, prompt_cache_key: "own" }, { cacheKey: "s-1" }).value.prompt_cache_key).toBe("own")
})

test("what the backend has refused is not added either", () => {
  const refused = ["parallel_tool_calls", "prompt_cache_key", "include"]
  const { value } = normal({ ...fine, include: undefined, tools: [{ type: "function" }] }, { refused, cacheKey: "s-1" })
  for (const name of refused) expect(value).not.toHaveProperty(name)
})

test("responses-lite bodies keep everything, and only header and body together make one", () => {
  const body = {
    ...fine,
    instructions: "",
    parallel_tool_calls: false,
    reasoning: { context: "all_turns" },
    input: [
      { type: "additional_tools", role: "developer", tools: [] },
      { role: "system", content: "x", id: "odd" },
    ],
    temperature: 1,
  }
  const { body: sent, bytes } = normal(body, { lite: true })
  expect(decode(sent)).toBe(decode(bytes))
  const header = new Headers({ "x-openai-internal-codex-responses-lite": "true" })
  expect(isLite(header, body)).toBeTrue()
  expect(isLite(new Headers(), body)).toBeFalse()
  expect(isLite(header, { ...body, reasoning: {} })).toBeFalse()
})

test("a turn that makes no sense without its previous response is refused in words", () => {
  const orphan = {
    input: [{ type: "function_call_output", call_id: "c", output: "x" }],
    previous_response_id: "resp_1",
  }
  expect(() => normal(orphan)).toThrow(/previous_response_id/)
  expect(() => normal({ ...orphan, previous_response_id: null })).not.toThrow()
})

test("compact keeps what the endpoint knows and nothing else", () => {
  const bytes = encode(
    JSON.stringify({ model: "m", ...fine, temperature: 1, text: {}, prompt_cache_key: "k", input: "hi" }),
  )
  const { body } = normaliseCompact(parseBody(amid(bytes)), [])
  expect(JSON.parse(decode(body))).toEqual({ model: "m", instructions: "", input: fine.input, text: {} })
})

test("what is no JSON object is refused in one of two ways", () => {
  const kind = (bytes: Uint8Array) => {
    try {
      parseBody(amid(bytes))
    } catch (error) {
      if (error instanceof HttpError) return error.fault.kind
    }
    return "accepted"
  }
  const bad = ["", "{", "nul", '{"a":NaN}', '{"a":1}x', "[".repeat(100_000)]
  for (const text of bad) expect(kind(encode(text))).toBe("invalid_json")
  expect(kind(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toBe("invalid_json")
  for (const text of ["null", "[]", '"x"', "1", "true"]) expect(kind(encode(text))).toBe("invalid_request")
  expect(kind(encode('\ufeff{"model":"m"}'))).toBe("accepted")
})

test("a body that is nothing but brackets is refused before it costs anything", () => {
  const deep = (levels: number, text = "") =>
    encode(
      `{"model":"m","input":"hi","text":${JSON.stringify(text)},"x":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`,
    )
  const kind = (bytes: Uint8Array) => {
    try {
      normalise(parseBody(amid(bytes)), false, [], null)
      return "sent"
    } catch (error) {
      return error instanceof HttpError ? error.fault.kind : String(error)
    }
  }
  expect(kind(deep(100_000))).toBe("invalid_json")
  expect(kind(encode("[".repeat(15_000_000)))).toBe("invalid_json")
  expect(isTooDeep(amid(encode("[".repeat(15_000_000))))).toBeTrue()
  expect(kind(deep(3_000))).toBe("sent")
  expect(kind(deep(900, "x".repeat(50_000)))).toBe("sent")
  expect(kind(deep(1_001, "x".repeat(50_000)))).toBe("invalid_json")
  // Brackets in strings are text, however the string ends.
  for (const text of [
    "[".repeat(50_000),
    `${'"[{'.repeat(20_000)}\\`,
    "\\".repeat(30_001),
    `${"x".repeat(23)}\\"${"[".repeat(50_000)}`,
  ]) {
    expect(kind(deep(10, text))).toBe("sent")
    expect(kind(deep(1_001, text))).toBe("invalid_json")
  }
})

test("a byte order mark does not reach the backend", () => {
  const bytes = encode(`\ufeff${JSON.stringify({ model: "m", ...fine })}`)
  // Read through Buffer: a TextDecoder would take the mark away itself.
  expect(Buffer.from(normalise(parseBody(amid(bytes)), false, [], null).body).toString("utf8")).toStartWith('{"model"')
})

const anyBody = fc.dictionary(
  fc.oneof(
    fc.string(),
    fc.constantFrom(
      "input",
      "instructions",
      "tools",
      "include",
      "store",
      "stream",
      "reasoning",
      "service_tier",
      "user",
      "__proto__",
    ),
  ),
  fc.jsonValue(),
  { maxKeys: 8 },
)

test("any object is normalised without throwing, loses nothing that has no rule, and twice is once", () => {
  fc.assert(
    fc.property(anyBody, (body) => {
      const bytes = encode(JSON.stringify({ ...body, model: "m" }))
      const once = normalise(parseBody(amid(bytes)), false, [], null)
      const onceText = decode(once.body)
      const value: Record<string, unknown> = JSON.parse(onceText)
      const given: Record<string, unknown> = JSON.parse(decode(bytes))
      for (const [name, field] of Object.entries(given)) {
        if (/^[a-z_]+$/.test(name) || once.dropped.includes(name)) continue
        expect(value[name]).toEqual(field)
      }
      expect(value.store).toBe(false)
      expect(value.stream).toBe(true)
      const again = encode(onceText)
      expect(decode(normalise(parseBody(amid(again)), false, [], null).body)).toBe(onceText)
    }),
  )
})

const account = {
  sub: "s",
  accountId: "a",
  email: "e",
  plan: "plus",
  fedramp: false,
  models: null,
  primary: { usedPercent: 0, windowMinutes: 300, resetAt: 0 },
  secondary: { usedPercent: 0, windowMinutes: 300, resetAt: 0 },
  limitedUntil: null,
  faults: [],
  refreshToken: "",
  refreshes: 0,
}
const headers = { version: "1.0.0", "user-agent": "x/1.0.0 ()", originator: "x" }
const models = [{ slug: "m", minimalClientVersion: "0.0.0" }]

const part = fc.record({
  type: fc.constantFrom("input_text", "output_text", "text", "input_image"),
  text: fc.string(),
})
const message = fc.record(
  {
    type: fc.constant("message"),
    role: fc.constantFrom("user", "assistant", "system", "developer"),
    content: fc.oneof(fc.string(), fc.array(part, { maxLength: 3 })),
    id: fc.oneof(fc.string(), fc.constant("msg_1"), fc.constant("m".repeat(80))),
  },
  { requiredKeys: ["role", "content"] },
)
const call = fc.record({
  type: fc.constant("function_call"),
  call_id: fc.constant("c"),
  name: fc.constant("f"),
  arguments: fc.constant("{}"),
  id: fc.constantFrom("fc_1", "call_1", "toolu_1"),
})
const clientBody = fc.record(
  {
    input: fc.oneof(fc.string(), fc.array(fc.oneof(message, call), { maxLength: 5 })),
    instructions: fc.oneof(fc.string(), fc.constant(null)),
    temperature: fc.double(),
    max_output_tokens: fc.nat(),
    stream: fc.boolean(),
    store: fc.boolean(),
    include: fc.array(fc.constantFrom("file_search_call.results", "nonsense")),
    tools: fc.array(fc.constantFrom({ type: "function", name: "f" }, { type: "web_search_preview_2025_03_11" })),
    service_tier: fc.constantFrom("auto", "fast", "default", "flex"),
    reasoning: fc.record({ effort: fc.constantFrom("low", "high") }),
    user: fc.string(),
    metadata: fc.constant({ a: "b" }),
  },
  { requiredKeys: [] },
)

test("whatever a client of the Responses API sends, the backend refuses none of it afterwards", () => {
  fc.assert(
    fc.property(clientBody, (body) => {
      expect(refuseResponses(normal(body).value, headers, account, models, new Set())).toBeNull()
      const bytes = encode(JSON.stringify({ model: "m", ...body }))
      const compact: unknown = JSON.parse(decode(normaliseCompact(parseBody(amid(bytes)), []).body))
      expect(refuseCompact(compact, headers, account, models)).toBeNull()
    }),
  )
})
