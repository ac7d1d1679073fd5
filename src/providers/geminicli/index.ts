/** Gemini CLI / Cloud Code Assist as one provider. */
import type { GeminicliSettings } from "../../config/types.ts"
import type { ProviderDeps, ProviderModule } from "../../http/ports.ts"
import { systemTimers, type Timers } from "../../observe/clock.ts"
import type { ReplyFields } from "../../relay/headers.ts"
import type { Answer, Opened, Provider } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { GeminiCall } from "./call.ts"
import { Context } from "./context.ts"
import { EnvelopeReader } from "./envelope.ts"
import { identify } from "./identity.ts"
import { googleOAuth, refresh } from "./oauth.ts"
import { quotaReader } from "./quota.ts"
import { trimmed } from "./request.ts"
import { AnswerAssembler, ARRAY_FRAME, SSE_FRAME, StreamFramer } from "./response.ts"
import { routes } from "./routes.ts"
import { Signatures } from "./signatures.ts"
import { inArray, shape, tellRefusal } from "./tell.ts"
import { Upstream } from "./upstream.ts"
import { judge } from "./verdict.ts"

export type { GeminiCall } from "./call.ts"

/** Google's tokens live about an hour. */
const LEAD_MS = 5 * 60_000

/** @param timers for the pauses of an onboarding; tests drive them by hand */
export function createGeminicli(
  deps: ProviderDeps<GeminicliSettings>,
  timers: Timers = systemTimers,
): ProviderModule<GeminiCall> {
  const { settings, fetcher, sender, clock, random } = deps
  const signatures = new Signatures(clock)
  const upstream = new Upstream({ sender, settings, signatures })
  const around = { signatures, clock }
  // Reading is done in one turn and leaves nothing behind: one reader serves all answers.
  const envelope = new EnvelopeReader()

  function open(response: Answer, sent: GeminiCall, lease: Lease): Opened {
    // What is kept as long as the answer runs must not keep the request's body.
    const call = sent.stream ? trimmed(sent) : sent
    const context = new Context(around, response.headers, call, lease)
    if (!call.stream) {
      const assembler = new AnswerAssembler(call.verb !== "countTokens", context, envelope)
      return { mode: "unary", response, assembler, headers: ARRAY_HEADERS }
    }
    const [frame, headers] = call.form === "sse" ? [SSE_FRAME, SSE_HEADERS] : [ARRAY_FRAME, ARRAY_HEADERS]
    return { mode: "stream", response, framer: new StreamFramer(frame, context, { envelope }), headers }
  }

  const provider: Provider<GeminiCall> = {
    name: "geminicli",
    send: (lease, call, signal) => upstream.send(lease, call, signal),
    open,
    judge: (failure, call, lease, context) => {
      const verdict = judge(failure, call, lease, context)
      if (verdict.cause === "signature") signatures.refused(call.holes, lease.credential)
      return verdict
    },
    trim: trimmed,
    refuse: (why, call) => {
      const told = tellRefusal(why, call.model, clock.wall())
      return call.form === "array" ? inArray(told) : told
    },
  }

  const account = { settings, fetcher, clock, timers }
  return {
    name: "geminicli",
    shape,
    oauth: googleOAuth(account),
    refresher: {
      refresh: (token, signal) => refresh(account, token, signal),
      identify: (tokens, project, signal) => identify(account, tokens, project, signal),
      leadMs: LEAD_MS,
    },
    quotas: quotaReader({ settings, fetcher, clock }),
    provider,
    routes: ({ tools, relay }) => routes({ tools, relay, settings, random }),
    seedAccount: (item) => projectOf(item.project_id) ?? projectOf(item.projectId),
  }
}

/** Nothing of the upstream's headers means anything to a client. Proxies in between must not hold streams back. */
const clientHeaders = (contentType: string): ReplyFields => ({
  "content-type": contentType,
  "cache-control": "no-cache",
  "x-accel-buffering": "no",
})

const ARRAY_HEADERS = clientHeaders(ARRAY_FRAME.contentType)
const SSE_HEADERS = clientHeaders(SSE_FRAME.contentType)

/** A number is taken too: whoever gives a project's number hears that it is the id which is wanted. */
function projectOf(value: unknown): string | null {
  const text = typeof value === "number" ? String(value) : value
  return typeof text === "string" && text.trim() !== "" ? text.trim() : null
}
