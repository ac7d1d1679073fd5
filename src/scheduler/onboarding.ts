import type { Timers } from "../observe/clock.ts"
import type { TokenSet } from "../store/types.ts"
import type { Now } from "./entry.ts"
import type { Send } from "./messages.ts"
import type { Identified, Refresher } from "./ports.ts"

/** How many accounts are identified or onboarded side by side. */
const SIDE_BY_SIDE = 8
/** Onboarding an account can take minutes, but not longer than this, in milliseconds. */
const ANSWER_WITHIN = 10 * 60_000

/** Tokens whose owner is to be found out. */
export interface IdentifyTask {
  readonly tokens: TokenSet
  readonly account: string | null
  /** A person waits for it. */
  readonly urgent: boolean
  identified(outcome: Identified, now: Now): void
}

/** The queue of identifications, apart from refreshes so that a slow onboarding delays none of them. */
export class Onboarding {
  readonly #urgent: IdentifyTask[] = []
  readonly #rest: IdentifyTask[] = []
  readonly #flights = new Set<AbortController>()
  #closed = false

  constructor(
    readonly refresher: Refresher,
    readonly timers: Timers,
    readonly send: Send,
  ) {}

  get size(): number {
    return this.#urgent.length + this.#rest.length + this.#flights.size
  }

  add(task: IdentifyTask): void {
    const line = task.urgent ? this.#urgent : this.#rest
    line.push(task)
    this.pump()
  }

  pump(): void {
    while (!this.#closed && this.#flights.size < SIDE_BY_SIDE) {
      const task = this.#urgent.shift() ?? this.#rest.shift()
      if (task === undefined) return
      this.#fly(task)
    }
  }

  close(): void {
    this.#closed = true
    for (const flight of this.#flights) flight.abort(new Error("stopped"))
  }

  #fly(task: IdentifyTask): void {
    const controller = new AbortController()
    this.#flights.add(controller)
    const cancel = this.timers.after(ANSWER_WITHIN, () => controller.abort(new Error("no answer in time")))
    const land = (outcome: Identified) => {
      cancel()
      this.#flights.delete(controller)
      // Cut off by the stop: the tokens are held with their seed and taken up at the next start.
      if (!this.#closed) this.send({ type: "identified", task, outcome })
    }
    const lost = (error: unknown) => {
      const detail = error instanceof Error ? error.message : String(error)
      land({ kind: "transient", reason: "identify_failed", detail, retryAfterMs: null })
    }
    try {
      this.refresher.identify(task.tokens, task.account, controller.signal).then(land, lost)
    } catch (error) {
      queueMicrotask(() => lost(error))
    }
  }
}
