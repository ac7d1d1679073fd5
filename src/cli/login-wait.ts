import type { Timers } from "../observe/clock.ts"
import { EXIT } from "../observe/exit.ts"
import { type Server, ServerError } from "./server.ts"
import { LoginShape, type LoginState, type ProviderName } from "./shapes.ts"

/** How long one question waits at the server, in seconds, and how long its answer may take, in milliseconds. */
const WAIT_S = 25
const ANSWER_MS = 45_000

/** Unanswered questions in a row before it is given up, and the pause between them in milliseconds. */
const MOST_SILENCES = 5
const PAUSE_MS = 1_000

/**
 * Asks until the login has ended, one way or the other; the server ends each within 15 minutes.
 * @throws ServerError
 */
export async function awaitLogin(login: {
  readonly server: Server
  readonly provider: ProviderName
  readonly id: string
  readonly timers: Timers
}): Promise<LoginState> {
  const { server, provider, id, timers } = login
  let silences = 0
  for (;;) {
    try {
      const state = await server.get(`/${provider}/login/${encodeURIComponent(id)}?wait=${WAIT_S}`, LoginShape, {
        timeoutMs: ANSWER_MS,
      })
      if (state.status !== "pending") return state
      silences = 0
    } catch (error) {
      if (!(error instanceof ServerError)) throw error
      if (error.status === 404) {
        throw new ServerError(
          "pollux: the login is gone, since the server was restarted: begin anew",
          EXIT.failure,
          404,
        )
      }
      silences += 1
      if (error.status !== null || silences >= MOST_SILENCES) throw error
      await new Promise<void>((resolve) => timers.after(PAUSE_MS, resolve))
    }
  }
}
