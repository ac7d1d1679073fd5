/** The Codex provider: OpenAI's Responses API in front, the ChatGPT Codex backend behind. */
import type { CodexSettings } from "../../config/types.ts"
import type { ProviderDeps, ProviderModule } from "../../http/ports.ts"
import type { Provider } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import { trimmed } from "./amend.ts"
import type { CodexCall } from "./call.ts"
import { claimsOf } from "./identity.ts"
import { LearnedParameters } from "./learned.ts"
import { Catalogues } from "./models.ts"
import { createOAuth, createRefresher } from "./oauth.ts"
import { refusal, shape } from "./refusal.ts"
import { openAnswer } from "./response.ts"
import { codexRoutes } from "./routes.ts"
import { scrubJson } from "./scrub.ts"
import { namesOf } from "./sessions.ts"
import { Upstream } from "./upstream.ts"
import { createQuotaReader } from "./usage-limits.ts"
import { judgeFailure, lessonOf } from "./verdict.ts"
import { ServedVersions } from "./version.ts"

export type { CodexCall } from "./call.ts"

const NAME = "codex"

export function createCodex(deps: ProviderDeps<CodexSettings>): ProviderModule<CodexCall> {
  const { settings, fetcher, sender, clock, log } = deps
  const learned = new LearnedParameters()
  const fedramp = new FedrampFlags()
  const isFedramp = (lease: Lease): boolean => fedramp.of(lease)
  const upstream = new Upstream({ sender, settings, isFedramp })
  const catalogues = new Catalogues({ settings, fetcher, clock, log, isFedramp })
  const versions = new ServedVersions()

  const provider: Provider<CodexCall> = {
    name: NAME,
    send: (lease, call, signal) => upstream.send(lease, call, signal),
    open: (response, call, lease) => {
      if (call.version !== settings.current.clientVersion) versions.served(call.model, call.version)
      return openAnswer(response, call, clock.wall, (text) => scrubJson(text, lease))
    },
    judge: (failure, call, lease, context) => {
      const lesson = lessonOf(failure)
      if (lesson !== null) learned.learn(call.model, lesson, context.now)
      return judgeFailure(failure, call, lease, context, versions.newest(call.model, settings.current.clientVersion))
    },
    trim: trimmed,
    refuse: (why) => refusal(why, clock.wall()),
  }

  return {
    name: NAME,
    shape,
    oauth: createOAuth(deps),
    refresher: createRefresher(deps),
    quotas: createQuotaReader(deps),
    provider,
    routes: ({ tools, relay, pool }) =>
      codexRoutes({
        tools,
        relay,
        pool,
        settings,
        log,
        catalogues,
        refused: (model) => learned.unsupported(model, clock.wall),
      }),
    // The workspace follows from the login itself.
    seedAccount: () => null,
    sessionNames: namesOf,
  }
}

/** Whether a credential's workspace must be marked as FedRAMP: a claim of its access token, read once per token. */
class FedrampFlags {
  static readonly MAX = 10_000
  readonly #flags = new Map<number, { readonly generation: number; readonly flag: boolean }>()

  of(lease: Lease): boolean {
    const known = this.#flags.get(lease.credential)
    if (known !== undefined && known.generation === lease.generation) return known.flag
    const flag = claimsOf(lease.token)?.fedramp === true
    if (this.#flags.size >= FedrampFlags.MAX) this.#flags.clear()
    this.#flags.set(lease.credential, { generation: lease.generation, flag })
    return flag
  }
}
