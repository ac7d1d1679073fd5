import { startFakeOpenAI } from "../../fakes/openai.ts"
import { secret } from "../../support/secrets.ts"
import type { Trouble, Upstream } from "./side.ts"

const MODEL = "gpt-5.2-codex"

export interface OpenAIOptions {
  readonly eventDelayMs?: number
  readonly accessSeconds?: number
}

/** The fake OpenAI as an upstream of the checks; its refresh tokens can be used once. */
export function openaiUpstream(options: OpenAIOptions = {}): Upstream {
  const openai = startFakeOpenAI({ ...options, accounts: 0 })
  const account = (index: number) => {
    const found = openai.accounts[index]
    if (found === undefined) throw new Error(`there is no account ${index}`)
    return found
  }
  const faultOf = (trouble: Trouble) => {
    if ("status" in trouble) return { kind: "status", ...trouble } as const
    if ("limited" in trouble) {
      return { kind: "usage_limit", resetsAt: Math.floor(Date.now() / 1000) + trouble.limited } as const
    }
    if ("silent" in trouble) return { kind: "no_answer", how: trouble.silent === "hang" ? "stall" : "reset" } as const
    if ("late" in trouble) return { kind: "delay", ms: trouble.late } as const
    if ("raw" in trouble) return { kind: "raw", body: trouble.raw } as const
    if ("overload" in trouble) {
      const afterContent = trouble.overload === "after content"
      return { kind: "event", code: "server_is_overloaded", afterContent } as const
    }
    switch (trouble.cut) {
      case "amid":
        return { kind: "cut", afterEvents: 7, how: "reset" } as const
      case "after the last event":
        return { kind: "cut", afterEvents: 9_999, how: "reset" } as const
      case "too early":
        return { kind: "cut", afterEvents: 7, how: "close" } as const
      case "stall":
        return { kind: "cut", afterEvents: 7, how: "stall" } as const
    }
  }
  return {
    provider: "codex",
    model: MODEL,
    url: openai.apiUrl,
    tokenUrl: openai.tokenUrl,
    config: (extra = {}) => ({
      api_url: openai.apiUrl,
      auth_url: openai.authUrl,
      token_url: openai.tokenUrl,
      model_list: [MODEL],
      ...extra,
    }),
    add: () => secret(openai.addAccount().refreshToken),
    tokens: () => openai.accounts.map(({ refreshToken }) => secret(refreshToken)),
    takes: (token) => openai.isLive(token),
    trouble: (trouble, index) => openai.fault(index === null ? null : account(index), faultOf(trouble)),
    tokenTrouble: (trouble) => {
      if ("status" in trouble) openai.tokenFault({ kind: "status", status: trouble.status, body: trouble.body })
      else if ("late" in trouble) openai.tokenFault({ kind: "delay", ms: trouble.late })
      else if (trouble.silent === "reset") openai.tokenFault({ kind: "drop_before" })
      else openai.tokenFault({ kind: "delay", ms: 3_600_000 })
    },
    clear: () => openai.clearFaults(),
    limit: (index, seconds) => {
      openai.fault(account(index), { kind: "usage_limit", resetsAt: Math.floor(Date.now() / 1000) + seconds })
    },
    lift: (index) => openai.lift(account(index)),
    expire: (index) => openai.expireAccess(account(index)),
    steal: async (index) => {
      const { refreshToken } = account(index)
      const response = await fetch(openai.tokenUrl, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          client_id: "app_EMoamEEZ73f0CkXaXp7hrann",
          grant_type: "refresh_token",
          refresh_token: refreshToken,
        }),
      })
      if (response.status !== 200) throw new Error(`the token could not be stolen: ${response.status}`)
    },
    deadReason: "refresh_token_reused",
    calls: () =>
      openai.requestsTo("/codex/responses").map((request) => ({
        account: openai.accounts.findIndex(({ email }) => email === request.account),
        at: request.at,
        status: request.status,
        aborted: request.aborted,
      })),
    tokenCalls: () => openai.requestsTo("/oauth/token").length,
    tokenTimes: () => openai.requestsTo("/oauth/token").map(({ at }) => at),
    path: () => "/codex/v1/responses",
    body: (prompt, stream) => ({ model: MODEL, input: prompt, stream }),
    textOf: (answer) =>
      answer.startsWith("{")
        ? outputOf(JSON.parse(answer))
        : eventsOf(answer)
            .filter(({ type }) => type === "response.output_text.delta")
            .map(({ delta }) => String(delta))
            .join(""),
    said: (prompt) => `You said: ${prompt}`,
    errorIn: (stream) => {
      const events = eventsOf(stream)
      const failed = events.find(({ type }) => type === "response.failed")
      const error = Object(failed?.response).error ?? events.find(({ type }) => type === "error")
      return error === undefined ? null : `${error.code} ${error.message}`
    },
    stop: () => openai.stop(),
  }
}

function outputOf(answer: { output?: readonly { content?: readonly { text?: string }[] }[] }): string {
  return (answer.output ?? [])
    .flatMap(({ content }) => content ?? [])
    .map(({ text }) => text ?? "")
    .join("")
}

/** The events that are whole: the data of a frame that was cut is no JSON. */
function eventsOf(stream: string): readonly Readonly<Record<string, unknown>>[] {
  return stream
    .split("\n")
    .filter((line) => line.startsWith("data:") && line.endsWith("}"))
    .map((line) => JSON.parse(line.slice(5)))
}
