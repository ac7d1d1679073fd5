/** What a run of the benchmark leaves: figures by section, cell and subject. */
import type { Machine } from "./machine.ts"
import type { Business, Load } from "./plan.ts"
import type { Spread } from "./stats.ts"
import type { Api, SubjectName, Transport } from "./subjects.ts"

/** One subject under one kind of load, over the rounds. */
export interface Cell {
  readonly section: Load["section"]
  /** The load under which the lag was measured. */
  readonly under?: Business
  readonly api: Api
  readonly transport: Transport
  readonly subject: SubjectName
  readonly connections: number
  /** Requests or events a second asked for, bytes of a body; 0 where that says nothing. */
  readonly scale: number
  readonly figures: Readonly<Partial<Record<Figure, Spread>>>
  /** Beside the bare subject of its section; empty where there is none. */
  readonly beside: Readonly<Partial<Record<Figure, Compared>>>
  /** Requests that failed, over all rounds. */
  readonly failed: number
}

/** A figure beside that of another subject: the middle of what each round gives. */
export interface Compared {
  readonly ratio: number
  readonly difference: number
}

/** Rates are per second, times in microseconds, memory in bytes. CPU is of the subject, per request or event. */
export type Figure = "rate" | "p50" | "p95" | "p99" | "cpu" | "rss" | "firstByte"

export interface Start {
  readonly credentials: number
  /** Milliseconds from the spawn to the first 200. */
  readonly ms: Spread
}

export interface SchedulerRow {
  readonly credentials: number
  readonly models: number
  /** Nanoseconds (median) by operation. */
  readonly operations: Readonly<Record<string, number>>
}

/** Where the time of a whole answer goes inside the process. */
export interface PartsRow {
  readonly api: Api
  /** Microseconds that each part adds, in the order in which they were put together; the first is the bare runtime's. */
  readonly parts: Readonly<Record<string, number>>
}

export interface Results {
  readonly at: string
  readonly revision: string
  readonly machine: Machine
  /** `full`, `quick`, or forced on a busy machine. */
  readonly kind: string
  readonly rounds: number
  /** How many were taken, how many of them again, and how many counted although the machine was slower than at its best. */
  readonly samples: { readonly counted: number; readonly repeated: number; readonly disturbed: number }
  readonly executableBytes: number
  readonly cells: readonly Cell[]
  readonly starts: readonly Start[]
  readonly scheduler: readonly SchedulerRow[]
  readonly parts: readonly PartsRow[]
}
