import { describe, expect, test } from "bun:test"
import { errors } from "../../fakes/google.ts"
import { start } from "./app.ts"
import { hello } from "./support.ts"

const PRO = "/geminicli/v1beta/models/gemini-2.5-pro"
const G3 = "/geminicli/v1beta/models/gemini-3-pro-preview"

interface Said {
  readonly candidates?: readonly {
    readonly content?: { readonly parts?: readonly { readonly text?: string }[] }
    readonly finishReason?: string
  }[]
  readonly error?: { readonly code: number; readonly message: string; readonly status: string }
}
const textOf = (said: Said): string =>
  (said.candidates?.[0]?.content?.parts ?? []).map((part) => part.text ?? "").join("")
const eventsOf = (body: string): Said[] =>
  body
    .split("\n\n")
    .filter((event) => event.startsWith("data: "))
    .map((event) => JSON.parse(event.slice(6)))
const SAID = 'Hello from gemini-2.5-pro. You said: "hi". 日本語 \u{1F600} and that is all.'

describe("one request through the whole application", () => {
  test("a whole answer, a stream and an array say the same", async () => {
    const { ask, add, google } = await start()
    const account = await add()
    const whole = await ask(`${PRO}:generateContent`, hello)
    expect([whole.status, whole.headers.get("content-type")]).toEqual([200, "application/json; charset=UTF-8"])
    const said = await whole.json()
    expect(textOf(said)).toBe(SAID)
    expect(said).toMatchObject({ modelVersion: "gemini-2.5-pro", responseId: expect.any(String) })
    expect(said.traceId).toBeUndefined()

    const stream = await ask(`${PRO}:streamGenerateContent?alt=sse`, hello)
    expect(stream.headers.get("content-type")).toBe("text/event-stream")
    const events = eventsOf(await stream.text())
    expect(events.length).toBeGreaterThan(2)
    expect(events.map(textOf).join("")).toBe(SAID)

    for (const query of ["", "?$alt=json;enum-encoding=int", "?alt=json"]) {
      const array = await ask(`${PRO}:streamGenerateContent${query}`, hello)
      expect(array.headers.get("content-type")).toBe("application/json; charset=UTF-8")
      const values: Said[] = await array.json()
      expect(values.map(textOf).join("")).toBe(SAID)
    }
    const [first] = google.seen("generateContent")
    expect(first?.json).toEqual({
      model: "gemini-2.5-pro",
      project: account.project,
      user_prompt_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      request: hello,
    })
    expect(first?.headers["user-agent"]).toBe(`GeminiCLI/0.61.0/gemini-2.5-pro (${process.platform}; ${process.arch})`)
    expect(google.seen("streamGenerateContent")[0]?.path).toBe("/v1internal:streamGenerateContent?alt=sse")
  })

  test("nothing of the client's headers and query goes upstream", async () => {
    const { ask, add, google } = await start()
    await add()
    const headers = {
      cookie: "a=b",
      "x-goog-user-project": "other",
      "x-forwarded-for": "1.2.3.4",
      "x-goog-api-client": "sdk",
      "user-agent": "me",
    }
    await ask(`${PRO}:generateContent?key=zzz&foo=bar`, hello, { headers })
    const sent = google.seen("generateContent")[0]
    expect(sent?.path).toBe("/v1internal:generateContent")
    const names = Object.keys(sent?.headers ?? {}).toSorted()
    expect(names).toEqual([
      "accept",
      "authorization",
      "connection",
      "content-length",
      "content-type",
      "host",
      "user-agent",
    ])
  })

  test("tokens are counted, and counted again in the official form when more is refused", async () => {
    const { ask, add, google } = await start()
    await add()
    const plain = await (await ask(`${PRO}:countTokens`, hello)).json()
    expect(plain).toEqual({ totalTokens: expect.any(Number) })
    const wide = { generateContentRequest: { model: "models/gemini-2.5-pro", ...hello, toolConfig: {} } }
    expect(await (await ask(`${PRO}:countTokens`, wide)).json()).toEqual(plain)
    expect(google.seen("countTokens").map((request) => request.status)).toEqual([200, 400, 200])
  })

  test("a function is called, answered and remembered, also when the client drops the signature", async () => {
    const { ask, add, google } = await start()
    await add()
    const tools = [
      {
        functionDeclarations: [
          { name: "weather", parameters: { type: "OBJECT", properties: { city: { type: "STRING" } } } },
        ],
      },
    ]
    const first = await (await ask(`${G3}:generateContent`, { ...hello, tools })).json()
    const part = first.candidates[0].content.parts[0]
    const signature: string = part.thoughtSignature
    expect(part.functionCall).toEqual({ name: "weather", args: { city: "value" } })
    const history = (functionCall: object) => ({
      contents: [
        ...hello.contents,
        { role: "model", parts: [{ functionCall }] },
        { role: "user", parts: [{ functionResponse: { name: "weather", response: { sky: "blue" } } }] },
      ],
      tools,
    })
    const stream = await ask(`${G3}:streamGenerateContent?alt=sse`, history({ ...part.functionCall, id: "made-up" }))
    expect(
      eventsOf(await stream.text())
        .map(textOf)
        .join(""),
    ).toContain('{"sky":"blue"}')
    expect(google.seen("streamGenerateContent")[0]?.body).toContain(`"thoughtSignature":${JSON.stringify(signature)}`)
    const unknown = await ask(`${G3}:generateContent`, history({ name: "weather", args: { city: "elsewhere" } }))
    expect(unknown.status).toBe(200)
  })

  test("a signature that the upstream refuses is replaced and the request sent once more", async () => {
    const { ask, add, google } = await start({ bindSignatures: true })
    await add()
    const contents = [
      ...hello.contents,
      { role: "model", parts: [{ functionCall: { name: "f", args: {} }, thoughtSignature: "Zm9yZWlnbg==" }] },
      { role: "user", parts: [{ functionResponse: { name: "f", response: {} } }] },
    ]
    expect((await ask(`${G3}:generateContent`, { contents })).status).toBe(200)
    expect(google.seen("generateContent").map((request) => request.status)).toEqual([400, 200])
  })
})

describe("a signature that is bound to its account", () => {
  test("is refused once, then never sent by another again", async () => {
    const { ask, add, google } = await start({ bindSignatures: true })
    const one = await add()
    const tools = [{ functionDeclarations: [{ name: "f" }, { name: "g" }] }]
    await ask(`${G3}:generateContent`, { ...hello, tools })
    google.limit(one, "gemini-3-pro-preview", 0, 3_600_000)
    await add()
    const turn = { role: "model", parts: [{ functionCall: { name: "f", args: {} } }] }
    const answer = { role: "user", parts: [{ functionResponse: { name: "f", response: {} } }] }
    const history = { contents: [...hello.contents, turn, answer], tools }
    for (let i = 0; i < 2; i++) expect((await ask(`${G3}:generateContent`, history)).status).toBe(200)
    const statuses = google.seen("generateContent").map((request) => request.status)
    expect(statuses.filter((status) => status === 400)).toHaveLength(1)
    expect(statuses.at(-1)).toBe(200)
  })
})

describe("another credential serves when one cannot", () => {
  test.each([
    ["its quota is exhausted", { status: 429, body: errors.quotaExhausted("gemini-2.5-pro", 3_600_000) }],
    ["it has to be verified", { status: 403, body: errors.validationRequired("https://accounts.google.com/v") }],
    ["its licence is missing", { status: 403, body: [errors.subscriptionRequired()] }],
    ["it lacks the model", { status: 404, body: errors.notFound() }],
    [
      "its first event is an error",
      { stream: { kind: "error", after: 0, event: errors.quotaExhausted("gemini-2.5-pro", 60_000) } },
    ],
    ["its stream is empty", { stream: { kind: "empty" } }],
    [
      "its answer is a plain error under the wrong label",
      { stream: { kind: "raw", bytes: JSON.stringify(errors.bareExhausted(), null, 1) } },
    ],
    ["its stream breaks before the first event", { stream: { kind: "cut", after: 0 } }],
    ["the server fails twice", { status: 500, body: errors.internal(), times: 2 }],
    ["the connection is reset twice", { before: "reset", times: 2 }],
  ] as const)("%s", async (_, fault) => {
    const { ask, add, google } = await start()
    const one = await add()
    await add()
    google.fault({ on: "generate", account: one, ...fault })
    for (let i = 0; i < 2; i++) {
      const response = await ask(`${PRO}:streamGenerateContent?alt=sse`, hello)
      expect(response.status).toBe(200)
      expect(
        eventsOf(await response.text())
          .map(textOf)
          .join(""),
      ).toBe(SAID)
    }
  })

  test("a token that expired early is renewed, once, and the client notices nothing", async () => {
    const { ask, add, google } = await start()
    const account = await add()
    google.expire(account)
    const answers = await Promise.all([1, 2, 3].map(() => ask(`${PRO}:generateContent`, hello)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(google.seen("token")).toHaveLength(2)
  })

  test("when all are limited the client is told until when", async () => {
    const { ask, add, google } = await start()
    const account = await add()
    google.limit(account, "gemini-2.5-pro", 0, 3_600_000)
    for (const form of ["generateContent", "streamGenerateContent?alt=sse"]) {
      const response = await ask(`${PRO}:${form}`, hello)
      expect(response.status).toBe(429)
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(1_000)
      const { error } = await response.json()
      expect(error).toMatchObject({ code: 429, status: "RESOURCE_EXHAUSTED" })
      expect(error.details.at(-1)).toMatchObject({
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        retryDelay: expect.stringMatching(/^\d+s$/),
      })
    }
    const array = await ask(`${PRO}:streamGenerateContent`, hello)
    expect([array.status, (await array.json())[0].error.code]).toEqual([429, 429])
    expect((await ask("/geminicli/v1beta/models/odd-model:generateContent", hello)).status).toBe(200)
  })

  test("with no credential at all it says so", async () => {
    const { ask } = await start()
    const response = await ask(`${PRO}:generateContent`, hello)
    expect(response.status).toBe(503)
    expect(await response.json()).toEqual({
      error: { code: 503, message: "No available credentials to process the request.", status: "UNAVAILABLE" },
    })
  })

  test("the upstream's 400 comes back word for word and parks nothing", async () => {
    const { ask, add } = await start()
    await add()
    const response = await ask(`${PRO}:generateContent`, { ...hello, foo: 1 })
    expect([response.status, await response.json()]).toEqual([400, errors.unknownName("foo", "request")])
    expect((await ask(`${PRO}:generateContent`, hello)).status).toBe(200)
  })
})

describe("a stream that goes wrong after its first words", () => {
  test("an error event of the upstream reaches the client as one", async () => {
    const { ask, add, google } = await start()
    await add()
    const fault = { kind: "error", after: 1, event: errors.googleError(503, "UNAVAILABLE", "overloaded") } as const
    google.fault({ on: "generate", stream: fault })
    const events = eventsOf(await (await ask(`${PRO}:streamGenerateContent?alt=sse`, hello)).text())
    expect(events.at(-1)?.error).toMatchObject({ code: 503, message: "overloaded" })
    google.fault({ on: "generate", stream: fault })
    const array: Said[] = await (await ask(`${PRO}:streamGenerateContent`, hello)).json()
    expect(array.at(-1)?.error).toMatchObject({ code: 503, message: "overloaded" })
  })

  test.each([
    ["broken in an event", { kind: "cut", after: 2, inEvent: true }, 502],
    ["ended without its last event", { kind: "short", after: 2 }, 502],
    ["silent beyond the limit", { kind: "stall", after: 2 }, 504],
  ] as const)("a stream %s ends with an error event, whole frames before it", async (_, stream, code) => {
    const { ask, add, google } = await start({}, { idle_timeout: 1 })
    await add()
    google.fault({ on: "generate", stream })
    const body = await (await ask(`${PRO}:streamGenerateContent?alt=sse`, hello)).text()
    expect(body).toEndWith("\n\n")
    const events = eventsOf(body)
    expect(events).toHaveLength(3)
    expect(events.at(-1)?.error).toMatchObject({ code })
  })

  test("a break behind the last event takes nothing away", async () => {
    const { ask, add, google } = await start()
    await add()
    google.fault({ on: "generate", stream: { kind: "cut", after: 99 } })
    const events = eventsOf(await (await ask(`${PRO}:streamGenerateContent?alt=sse`, hello)).text())
    expect(events.at(-1)?.candidates?.[0]?.finishReason).toBe("STOP")
    expect(events.map(textOf).join("")).toBe(SAID)
  })

  test("CRLF in pieces of seven bytes, with comments, gives the same events", async () => {
    const { ask, add, google } = await start()
    await add()
    for (const eol of ["\r\n", "\r", "\n"] as const) {
      google.fault({ on: "generate", stream: { kind: "wire", eol, pieceBytes: 7, comments: true } })
      const events = eventsOf(await (await ask(`${PRO}:streamGenerateContent?alt=sse`, hello)).text())
      expect(events.map(textOf).join("")).toBe(SAID)
    }
  })

  test("a client that leaves stops the upstream", async () => {
    const { ask, add, google } = await start({ eventDelayMs: 20 })
    await add()
    google.fault({ on: "generate", stream: { kind: "stall", after: 1 } })
    const controller = new AbortController()
    const response = await ask(`${PRO}:streamGenerateContent?alt=sse`, hello, { signal: controller.signal })
    await response.body?.getReader().read()
    expect(google.open()).toBe(1)
    controller.abort()
    const deadline = performance.now() + 1_000
    while (google.open() > 0 && performance.now() < deadline) await Bun.sleep(5)
    expect(google.open()).toBe(0)
    expect(google.seen("streamGenerateContent")[0]?.aborted).toBe(true)
  })
})

describe("what the log holds", () => {
  test("no token, no key, no address after all kinds of faults", async () => {
    const { ask, add, google, log } = await start({ rotation: "kill-old" })
    const account = await add()
    for (const body of [errors.serviceDisabled("companion-1"), errors.permissionDenied(), errors.tosViolation()]) {
      google.fault({ on: "generate", status: 403, body })
      const response = await ask(`${PRO}:generateContent`, hello)
      const told = await response.text()
      for (const secret of [account.email, account.sub, account.project ?? "-", account.refreshToken])
        expect(told).not.toContain(secret)
    }
    const lines = log.join("\n")
    for (const secret of [account.email, account.refreshToken, account.accessToken ?? "-", "the-key-of-these-tests"])
      expect(lines).not.toContain(secret)
  })
})
