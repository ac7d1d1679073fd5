import { errors, startFakeGoogle } from "../../fakes/google.ts"
import { secret } from "../../support/secrets.ts"
import type { Trouble, Upstream } from "./side.ts"

const MODEL = "gemini-2.5-pro"
const GENERATE: ReadonlySet<string> = new Set(["generateContent", "streamGenerateContent"])

export interface GoogleOptions {
  readonly eventDelayMs?: number
  readonly accessSeconds?: number
  /** What becomes of a refresh token that was used; the real one usually keeps it (default "none"). */
  readonly rotation?: "none" | "keep-old" | "kill-old"
}

/** The fake Google as an upstream of the checks. */
export function googleUpstream({ eventDelayMs, accessSeconds, rotation }: GoogleOptions = {}): Upstream {
  const google = startFakeGoogle({
    ...(eventDelayMs === undefined ? {} : { eventDelayMs }),
    ...(accessSeconds === undefined ? {} : { expiresIn: accessSeconds }),
    ...(rotation === undefined ? {} : { rotation }),
  })
  const account = (index: number) => {
    const found = google.accounts[index]
    if (found === undefined) throw new Error(`there is no account ${index}`)
    return found
  }
  const faultOf = (trouble: Trouble) => {
    if ("status" in trouble) return { status: trouble.status, body: trouble.body ?? "", headers: trouble.headers ?? {} }
    if ("limited" in trouble) return { status: 429, body: errors.quotaExhausted(MODEL, trouble.limited * 1_000) }
    if ("silent" in trouble) return { before: trouble.silent }
    if ("late" in trouble) return { delayMs: trouble.late }
    if ("raw" in trouble) return { stream: { kind: "raw", bytes: trouble.raw } } as const
    if ("overload" in trouble) {
      const after = trouble.overload === "first" ? 0 : 3
      return { stream: { kind: "error", after, event: errors.unavailable() } } as const
    }
    switch (trouble.cut) {
      case "amid":
        return { stream: { kind: "cut", after: 3, inEvent: true } } as const
      case "after the last event":
        return { stream: { kind: "cut", after: 999 } } as const
      case "too early":
        return { stream: { kind: "short", after: 3 } } as const
      case "stall":
        return { stream: { kind: "stall", after: 3 } } as const
    }
  }
  return {
    provider: "geminicli",
    model: MODEL,
    url: google.url,
    tokenUrl: `${google.url}/token`,
    config: (extra = {}) => ({
      api_url: google.url,
      auth_url: `${google.url}/o/oauth2/v2/auth`,
      token_url: `${google.url}/token`,
      model_list: [MODEL],
      ...extra,
    }),
    add: () => secret(google.addAccount().refreshToken),
    tokens: () => google.accounts.map(({ refreshToken }) => secret(refreshToken)),
    // One that was replaced is worth nothing only where the fake kills it, and then it is not the newest.
    takes: (token) => google.accounts.some(({ refreshToken, revoked }) => refreshToken === token && !revoked),
    trouble: (trouble, index) => {
      google.fault({ on: "generate", ...(index === null ? {} : { account: account(index) }), ...faultOf(trouble) })
    },
    tokenTrouble: (trouble) => {
      if ("status" in trouble) google.fault({ on: "token", status: trouble.status, body: trouble.body ?? {} })
      else if ("late" in trouble) google.fault({ on: "token", delayMs: trouble.late })
      else google.fault({ on: "token", before: trouble.silent })
    },
    clear: () => google.clearFaults(),
    limit: (index, seconds) => google.limit(account(index), MODEL, 0, seconds * 1_000),
    lift: (index) => google.limit(account(index), MODEL, 1_000, 3_600_000),
    expire: (index) => google.expire(account(index)),
    steal: async (index) => google.revoke(account(index)),
    deadReason: "invalid_grant",
    calls: () =>
      google.requests
        .filter(({ endpoint }) => GENERATE.has(endpoint))
        .map((request) => ({
          account: request.account === null ? -1 : google.accounts.indexOf(request.account),
          at: request.at,
          status: request.status === 0 ? null : request.status,
          aborted: request.aborted,
        })),
    tokenCalls: () => google.seen("token").length,
    tokenTimes: () => google.seen("token").map(({ at }) => at),
    path: (stream) =>
      `/geminicli/v1beta/models/${MODEL}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    body: (prompt) => ({ contents: [{ role: "user", parts: [{ text: prompt }] }] }),
    textOf: (answer) =>
      (answer.startsWith("{") ? [JSON.parse(answer)] : eventsOf(answer))
        .flatMap((event) => event.candidates?.[0]?.content?.parts ?? [])
        .map((part: { text?: string }) => part.text ?? "")
        .join(""),
    said: (prompt) => `Hello from ${MODEL}. You said: "${prompt}". 日本語 \u{1F600} and that is all.`,
    errorIn: (stream) => {
      const error = eventsOf(stream).find((event) => event.error !== undefined)?.error
      return error === undefined ? null : `${error.code} ${error.message}`
    },
    stop: () => google.stop(),
  }
}

function eventsOf(stream: string) {
  return stream
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => JSON.parse(line.slice(5)))
}
