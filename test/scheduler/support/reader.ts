import type { QuotaReader, QuotaReading } from "../../../src/scheduler/ports.ts"
import type { Identity, QuotaWindow, Stored } from "../../../src/store/types.ts"
import { World } from "./world.ts"

interface Call {
  readonly token: string
  readonly account: string
  readonly signal: AbortSignal
  /** Monotonic time. */
  readonly at: number
  readonly answer: (reading: QuotaReading) => void
  readonly fail: (error: unknown) => void
}

/** A usage endpoint under a test's thumb: each call waits until the test answers it, or is answered by a standing rule. */
export class HandReader implements QuotaReader {
  probe: readonly number[] = [30, 60, 120, 240].map((minutes) => minutes * 60_000)
  readonly #open = new Set<Call>()
  /** Every call, in order. */
  readonly calls: Call[] = []
  rule: ((account: string) => QuotaReading) | null = null
  peak = 0

  constructor(readonly mono: () => number) {}

  quotas(token: string, { account }: Identity, signal: AbortSignal): Promise<QuotaReading> {
    return new Promise((resolve, reject) => {
      const call = { token, account, signal, at: this.mono(), answer: resolve, fail: reject }
      this.calls.push(call)
      if (this.rule !== null) return resolve(this.rule(account))
      this.#open.add(call)
      this.peak = Math.max(this.peak, this.waiting.length)
    })
  }

  /** Calls neither answered nor given up. */
  get waiting(): readonly Call[] {
    return [...this.#open].filter(({ signal }) => !signal.aborted)
  }

  /** The oldest waiting call, for the test to end. */
  next(): Call {
    const call = this.waiting[0]
    if (call === undefined) throw new Error("no reading is waiting")
    this.#open.delete(call)
    return call
  }
}

export function reading(fields: Partial<QuotaReading & { kind: "ok" }> = {}): QuotaReading {
  return { kind: "ok", windows: [], plan: null, limitedUntil: null, models: new Map(), ...fields }
}

export const FAILED: QuotaReading = { kind: "failed", reason: "HTTP 401" }

export function fullWindow(family: string, seenAt: number): QuotaWindow {
  return { family, name: "primary", usedPercent: 100, windowMinutes: 300, resetsAt: seenAt + 3_600_000, seenAt }
}

/** A scheduler that may ask. */
export class ReadingWorld extends World {
  readonly reader = new HandReader(() => this.time.mono())

  /** Begins anew with the reader, over what the store has. */
  static begin(...credentials: readonly Partial<Stored>[]): ReadingWorld {
    const world = new ReadingWorld(...credentials)
    world.quotas = world.reader
    world.start()
    return world
  }
}
