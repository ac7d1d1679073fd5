/** What a run measures, as data: the cells of each section, and how long each takes. Pure. */
import type { Api, SubjectName, Transport } from "./subjects.ts"

export const SECTIONS = [
  "unary",
  "rate",
  "burst",
  "paced",
  "open",
  "body",
  "lag",
  "start",
  "scheduler",
  "parts",
] as const
export type Section = (typeof SECTIONS)[number]

/** What a subject is busy with while it is asked how late it is. */
export type Business = "unary" | "paced" | "body"

/** One kind of load and the subjects that get it. */
export interface Load {
  readonly section: Exclude<Section, "start" | "scheduler" | "parts">
  /** The load under which the lag is measured; absent in all other sections. */
  readonly under?: Business
  readonly api: Api
  readonly transport: Transport
  readonly subjects: readonly SubjectName[]
  readonly connections: number
  readonly scale: number
  readonly seconds: number
  readonly rounds: number
  /** Microseconds between two events, where it is not the section's own. */
  readonly pace?: number
}

export interface Size {
  readonly seconds: number
  readonly rounds: number
  readonly quick: boolean
}

export const FULL: Size = { seconds: 2, rounds: 5, quick: false }
export const QUICK: Size = { seconds: 0.5, rounds: 1, quick: true }

/** Events of one stream, by section. */
export const EVENTS = { burst: 2_000, paced: 100, open: 10 } as const
/** Microseconds between two events of a stream. */
export const PACE = { paced: 5_000, open: 1_000_000 } as const
/** With this many streams, more often would be more than a core can do, and no event would come in time. */
const MANY = { streams: 1_000, pace: 50_000 } as const

/** How much more often the cells are measured that goals are read from: the middle of a few samples may be a neighbour's. */
const GOAL_TIMES = 2

/** How busy: many small requests, many streams, some large bodies. */
const BUSY: Readonly<Record<Business, Pick<Load, "connections" | "scale">>> = {
  unary: { connections: 64, scale: 1024 },
  paced: { connections: 64, scale: EVENTS.paced },
  body: { connections: 8, scale: 1_000_000 },
}

const BODIES = [1_000, 100_000, 1_000_000, 10_000_000]

export function plan(sections: readonly Section[], size: Size): readonly Load[] {
  const { seconds, rounds, quick } = size
  const loads: Load[] = []
  const add = (load: Omit<Load, "seconds" | "rounds"> & Partial<Pick<Load, "seconds" | "rounds">>): void => {
    if (sections.includes(load.section)) loads.push({ seconds, rounds, ...load })
  }
  const fewer = Math.min(rounds, 3)
  const plain: readonly SubjectName[] = ["direct", "nginx", "pass", "geminicli"]

  for (const connections of quick ? [1, 32] : [1, 32, 64, 256, 1024]) {
    const isGoal = !quick && (connections === 32 || connections === 64)
    // The added latency at one connection is a goal, too.
    const often = isGoal ? rounds * GOAL_TIMES : connections === 1 ? rounds : fewer
    const load = { section: "unary", transport: "http", connections, scale: 1024, rounds: often } as const
    // Where the goals are: what of the distance is the protocols' own.
    const translator: readonly SubjectName[] = isGoal ? ["translate"] : []
    add({ ...load, api: "geminicli", subjects: [...plain, ...translator] })
    if (connections > 256) continue
    add({ ...load, api: "codex", subjects: ["pass", ...translator, "codex"] })
  }
  for (const transport of ["tls-h1", "tls-h2"] as const) {
    const subjects: readonly SubjectName[] =
      transport === "tls-h1" ? ["nginx", "pass", "geminicli"] : ["pass", "geminicli"]
    for (const connections of quick ? [32] : [32, 64, 256, 1024]) {
      const load = { section: "unary", transport, connections, scale: 1024, rounds: fewer } as const
      add({ ...load, api: "geminicli", subjects })
      if (!quick) add({ ...load, api: "codex", subjects: ["pass", "codex"] })
    }
  }
  for (const rate of quick ? [1_000] : [1_000, 3_000]) {
    const load = { api: "geminicli", transport: "http", connections: 256, scale: rate, rounds: fewer } as const
    add({ ...load, section: "rate", subjects: plain, seconds: quick ? 0.5 : 3 })
  }
  for (const connections of quick ? [16] : [1, 64]) {
    streams("burst", connections)
  }
  for (const connections of quick ? [16] : [1, 64, 1_000]) {
    streams("paced", connections)
  }
  for (const api of ["geminicli", "codex"] as const) {
    const reference: SubjectName = api === "codex" ? "direct" : "reframe"
    const load = { section: "open", api, transport: "http", rounds: 1, seconds: 0.1 } as const
    add({ ...load, subjects: [reference, api], connections: quick ? 200 : 5_000, scale: 0 })
  }
  for (const scale of quick ? BODIES.slice(0, 2) : BODIES) {
    const load = { section: "body", api: "geminicli", transport: "http", connections: 8, rounds: fewer } as const
    add({ ...load, subjects: plain.slice(1), scale })
  }
  for (const under of quick ? (["unary"] as const) : (["unary", "paced", "body"] as const)) {
    const bare: SubjectName = under === "paced" ? "reframe" : "pass"
    const load = { section: "lag", under, api: "geminicli", transport: "http", rounds: fewer } as const
    add({ ...load, subjects: ["nginx", bare, "geminicli"], ...BUSY[under], seconds: quick ? 0.5 : 2 })
  }
  return loads

  function streams(section: "burst" | "paced", connections: number): void {
    const isGoal = connections === 64
    const often = isGoal ? fewer * GOAL_TIMES : fewer
    const base = { section, transport: "http", connections, scale: EVENTS[section], rounds: often } as const
    const load = section === "paced" && connections >= MANY.streams ? { ...base, pace: MANY.pace } : base
    add({ ...load, api: "codex", subjects: ["nginx", "pass", "read", "codex"] })
    add({ ...load, api: "geminicli", subjects: ["reframe", "geminicli"] })
  }
}

/** The order for the fake upstream, and the length of the prompt that carries it. */
export function orderOf({ section, under, scale, pace }: Load): { readonly order: string; readonly prompt: number } {
  const kind = under ?? section
  switch (kind) {
    case "burst":
      return { order: `@burst ${EVENTS.burst}`, prompt: 200 }
    case "paced":
    case "open":
      return { order: `@paced ${EVENTS[kind]} ${pace ?? PACE[kind]}`, prompt: 200 }
    case "body":
      return { order: "@unary 1024", prompt: scale }
    default:
      return { order: "@unary 1024", prompt: 200 }
  }
}
