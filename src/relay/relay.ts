import type { Clock, Live, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { Pool } from "../scheduler/ports.ts"
import { Journey } from "./journey.ts"
import type { CallBase, Provider, Recorder, Relay, RelaySettings } from "./ports.ts"
import { unfailing } from "./recorder.ts"
import { Roll } from "./roll.ts"
import { Ticker } from "./ticker.ts"

export interface RelayDeps<C extends CallBase> {
  readonly provider: Provider<C>
  readonly pool: Pool
  readonly settings: Live<RelaySettings>
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly recorder: Recorder
  readonly log: Log
  /** Whether answers say how many attempts they took and which credential served. */
  readonly answerHeaders: Live<boolean>
}

export function createRelay<C extends CallBase>(deps: RelayDeps<C>): Relay<C> {
  const journeys = new Roll<Journey<C>>()
  const parts = {
    ...deps,
    recorder: unfailing(deps.recorder, deps.log),
    ticker: new Ticker(deps.clock, deps.timers),
    onEnd: (journey: Journey<C>) => {
      journeys.remove(journey)
    },
  }
  return {
    serve(call, inbound) {
      const journey = new Journey(parts, call, inbound)
      journeys.add(journey)
      return journey.run()
    },
    get active() {
      return journeys.size
    },
    abortAll() {
      journeys.each((journey) => journey.stop("draining"))
    },
  }
}
