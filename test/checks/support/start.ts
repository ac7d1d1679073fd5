import { openaiUpstream } from "./codex.ts"
import { googleUpstream } from "./gemini.ts"
import { type ProviderName, Side, type SideOptions, type Upstream } from "./side.ts"

export interface StartSideOptions extends SideOptions {
  /** The fake Google replaces each refresh token that is used, and refuses the old one, as the other provider always does. */
  readonly rotating?: boolean
}

/** One provider's fake upstream and a Pollux in front of it. */
export function startSide(provider: ProviderName, options: StartSideOptions = {}): Promise<Side> {
  return Side.start(startUpstream(provider, options), options)
}

export function startUpstream(provider: ProviderName, options: StartSideOptions = {}): Upstream {
  const { eventDelayMs, accessSeconds, rotating } = options
  const shared = {
    ...(eventDelayMs === undefined ? {} : { eventDelayMs }),
    ...(accessSeconds === undefined ? {} : { accessSeconds }),
  }
  if (provider === "codex") return openaiUpstream(shared)
  return googleUpstream({ ...shared, ...(rotating === true ? { rotation: "kill-old" } : {}) })
}
