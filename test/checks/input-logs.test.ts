/** What a client or an upstream writes must not write the log: B19. */
import { expect, test } from "bun:test"
import { sendRaw } from "../support/raw.ts"
import { reply, startRawWorld } from "../support/raw-upstream.ts"
import { requestText } from "../support/request-text.ts"
import { until } from "../support/wait.ts"

const FORGED = "2026-01-01T00:00:00.000Z info forged-line"
/** Escape sequences, line ends, bidirectional controls, C1 controls; as they are and percent-encoded. */
const NASTY = `\u001b[31m\u001b]0;title\u0007\r\n${FORGED}\u2028\u202e\u009b2J\u0000`
const PERCENT = encodeURIComponent(NASTY)
/** As much of it as a header can carry: C1 controls, which terminals obey as well; the server refuses those below a space. */
const HEADER = "\x9b31m\x9b2J\x85forged\t\xad"
/** What ends a line or drives a terminal. */
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

for (const log_format of ["json", "text"]) {
  test(`B19: nothing of a request or an answer ends a line or drives the terminal of a ${log_format} log`, async () => {
    await using world = await startRawWorld({ log_format, loglevel: "trace" })
    const { pollux, upstream } = world
    const port = Number(new URL(pollux.url).port)
    upstream.answer(() =>
      reply(
        400,
        { "content-type": "application/json" },
        JSON.stringify({ error: { message: NASTY, code: NASTY, status: NASTY } }),
      ),
    )
    const headers = {
      connection: "close",
      "x-goog-api-key": pollux.key,
      "content-type": "application/json",
      "user-agent": HEADER,
      "x-request-id": HEADER,
      "session-id": HEADER,
      originator: HEADER,
      "x-forwarded-for": HEADER,
    }
    const body = (value: object) => JSON.stringify(value)
    const contents = body({ contents: [{ role: "user", parts: [{ text: NASTY }] }], session_id: NASTY })
    const responses = (model: string) => body({ model, input: NASTY, prompt_cache_key: NASTY, [NASTY]: 1 })
    const requests = [
      requestText("GET", `/${PERCENT}`, headers),
      requestText("GET", `/geminicli/v1beta/models/${PERCENT}`, headers),
      requestText("POST", `/geminicli/v1beta/models/${PERCENT}:generateContent`, headers, contents),
      requestText("POST", `/geminicli/v1beta/models/gemini-2.5-pro:${PERCENT}`, headers, contents),
      requestText("POST", "/geminicli/v1beta/models/gemini-2.5-pro:generateContent", headers, contents),
      requestText("POST", "/codex/v1/responses", headers, responses(NASTY)),
      requestText("POST", "/codex/v1/responses", headers, responses("gpt-5.2-codex")),
      requestText("POST", "/codex/resource:add", headers, body([{ refresh_token: NASTY, note: NASTY }])),
      requestText("POST", "/geminicli/resource:explain", headers, body({ model: NASTY, session: NASTY })),
      requestText("GET", `/oauth2callback?error=${PERCENT}&error_description=${PERCENT}`, headers),
      requestText("GET", `/codex/v1/models?client_version=${PERCENT}&key=${PERCENT}`, {
        connection: "close",
        "user-agent": HEADER,
      }),
    ]
    const before = pollux.stdout.length
    const answers = await Promise.all(requests.map((text) => sendRaw(text, { port, ms: 3_000 })))
    for (const { text } of answers) {
      expect(text).toMatch(/^HTTP\/1\.1 [245]\d\d /)
      expect(text.split("\r\n\r\n")[0]).not.toMatch(/forged/)
    }
    const refused = await sendRaw(requestText("GET", "/healthz", { "user-agent": "\x1b[31m" }), { port, ms: 1_000 })
    expect(refused.text).toStartWith("HTTP/1.1 400 ")
    await until("each is logged", () => pollux.stdout.length >= before + requests.length)
    await Bun.sleep(50)
    for (const line of [...pollux.stdout, ...pollux.stderr]) {
      expect(line).not.toMatch(CONTROLS)
      expect(line).not.toStartWith(FORGED)
      if (log_format === "json")
        expect(JSON.parse(line)).toMatchObject({ level: expect.any(String), event: expect.any(String) })
      else expect(line).toMatch(/^(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d|^[A-Z]/)
    }
    expect(pollux.stdout.some((line) => line.includes("\\u001b") || line.includes("\\x1b"))).toBe(true)
    // Labels of metrics come from the configuration alone.
    expect(await (await pollux.api("/metrics")).text()).not.toContain("forged")
  })
}
