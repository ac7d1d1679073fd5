import type { Clock, Random, Timers } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { Identity } from "../store/types.ts"
import { Chore } from "./due.ts"
import type { Entry, Now, Rest } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import type { Send } from "./messages.ts"
import { confirm, stillOut } from "./penalties.ts"
import { type CredentialPool, EARLY } from "./pool.ts"
import type { QuotaReader, QuotaReading } from "./ports.ts"
import { learnQuotas } from "./quotas.ts"
import { TokenBucket } from "./refresh.ts"

/** A credential in use is asked about at most this often, in milliseconds; up to a fifth more at random. */
const EVERY = 15 * 60_000
const JITTER = 0.2
/** Doublings of that interval by failures in a row: up to 4 h. */
const MOST_DOUBLINGS = 4
/** The first reading of a credential in use comes this long after a lease, up to twice that at random, so that it shows its effect. */
const SOON = 30_000
/** How many readings are under way at once. */
const SIDE_BY_SIDE = 2
/** Readings per second, twice that at once: a bulk import or a start asks no faster. */
const PER_SECOND = 2
/** A reading without an answer after this long has failed, in milliseconds. */
const ANSWER_WITHIN = 20_000
/** Longest time a cooldown that has come due waits for its reading, in milliseconds; a probe by a request decides after that. */
const HOLD_MOST = 60_000
/** It waits in short steps, so that a request which may wait for a cooldown waits for the reading. */
const HOLD_STEP = 2_000

export interface QuotaDeskDeps {
  readonly pool: CredentialPool
  readonly ledger: Ledger
  /** Null: nothing is ever asked. */
  readonly reader: QuotaReader | null
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Log
  readonly send: Send
}

/** One credential as the desk sees it. */
export class Watched {
  stage: "idle" | "queued" | "flying" = "idle"
  /** Readings that failed, in a row. */
  failures = 0
  /** Whose quota the reading under way is about. */
  identity: Identity
  /** Cooldowns that came due and wait for an answer, with the monotonic time since when. */
  readonly held = new Map<Rest, number>()
  /** The next reading because of leases. */
  readonly due: Chore

  constructor(
    readonly entry: Entry,
    /** Monotonic time of the last reading that was sent. */
    public readAt: number,
    due: (now: Now) => void,
  ) {
    this.identity = entry.identity
    this.due = new Chore(due)
  }
}

/**
 * Asks how much of their quotas credentials have left: once when one is added or enabled, now and then while one is in use, and
 * before a cooldown ends ahead of the reset that was stated for it. Never in a request's way: readings are few, bounded and paced,
 * a failed one changes nothing, and what one says decides about no credential but one that is cooling already.
 */
export class QuotaDesk {
  readonly #watched = new WeakMap<Entry, Watched>()
  /** Those with a cooldown that waits come first. */
  readonly #urgent = new Set<Watched>()
  readonly #others = new Set<Watched>()
  readonly #flights = new Set<AbortController>()
  readonly #bucket: TokenBucket
  readonly #pump = new Chore((now) => this.#send(now))
  #closed = false

  constructor(readonly deps: QuotaDeskDeps) {
    this.#bucket = new TokenBucket(deps.clock, PER_SECOND)
  }

  /** `entry` was added, or enabled by the operator. */
  welcome(entry: Entry, now: Now): void {
    if (this.#reader !== null) this.#queue(this.#watch(entry, now.mono), this.#others, now)
  }

  /** `entry` was leased. Called at most once a minute for each credential, and once after each reading. */
  used(entry: Entry, mono: number): void {
    if (this.#reader === null) return
    const { pool, random } = this.deps
    const watched = this.#watch(entry, mono)
    if (watched.due.pending || watched.stage !== "idle") return
    const interval = EVERY * 2 ** Math.min(watched.failures, MOST_DOUBLINGS) * (1 + JITTER * random())
    pool.heap.set(watched.due, Math.max(mono + SOON * (1 + random()), watched.readAt + interval))
  }

  /**
   * A cooldown has come due. True when it goes on for now: the reset that was stated is still to come, and the upstream is asked
   * first. The answer then ends or prolongs it.
   */
  hold(rest: Rest, now: Now): boolean {
    if (this.#reader === null || !rest.early) return false
    if (!readable(rest.entry)) return false
    const watched = this.#watch(rest.entry, now.mono)
    const since = watched.held.get(rest) ?? now.mono
    if (now.mono - since >= HOLD_MOST) {
      watched.held.delete(rest)
      return false
    }
    const first = !watched.held.has(rest)
    watched.held.set(rest, since)
    this.deps.pool.postpone(rest, now.mono + HOLD_STEP, now)
    if (first) this.#queue(watched, this.#urgent, now)
    return true
  }

  /** A reading has ended. */
  landed(watched: Watched, reading: QuotaReading, now: Now): void {
    const { log } = this.deps
    const { entry, identity } = watched
    watched.stage = "idle"
    if (!entry.gone) {
      const { sub, account } = entry.identity
      const moved = sub !== identity.sub || account !== identity.account
      const heard: QuotaReading = moved ? { kind: "failed", reason: "the credential has another account now" } : reading
      if (heard.kind === "ok") {
        watched.failures = 0
        learnQuotas(this.deps, entry, { quotas: heard.windows, plan: heard.plan })
      } else {
        watched.failures++
        log.debug("a credential's quota could not be read", { credential: entry.id, reason: heard.reason })
      }
      this.#decide(watched, heard, now)
      // The next lease is to be heard of, however soon it comes.
      entry.leasedNoted = Number.NEGATIVE_INFINITY
      if (entry.leasedAt > watched.readAt) this.used(entry, now.mono)
    }
    this.#send(now)
  }

  /** Nothing is asked any more; what is under way is given up. */
  close(): void {
    this.#closed = true
    for (const flight of this.#flights) flight.abort(new Error("stopped"))
  }

  get #reader(): QuotaReader | null {
    return this.#closed ? null : this.deps.reader
  }

  #watch(entry: Entry, mono: number): Watched {
    const known = this.#watched.get(entry)
    if (known !== undefined) return known
    // As if read at some time of the last interval, so that a start does not ask about all credentials at once.
    const readAt = mono - EVERY * this.deps.random()
    const watched = new Watched(entry, readAt, (now) => this.#queue(watched, this.#others, now))
    this.#watched.set(entry, watched)
    return watched
  }

  #queue(watched: Watched, line: Set<Watched>, now: Now): void {
    this.deps.pool.heap.remove(watched.due)
    // The answer of a reading under way is as good.
    if (watched.stage === "flying") return
    watched.stage = "queued"
    if (!this.#urgent.has(watched)) line.add(watched)
    if (line === this.#urgent) this.#others.delete(watched)
    this.#send(now)
  }

  #send(now: Now): void {
    const { pool } = this.deps
    const reader = this.#reader
    while (reader !== null && this.#flights.size < SIDE_BY_SIDE) {
      const watched = first(this.#urgent) ?? first(this.#others)
      if (watched === null) return
      const wait = readable(watched.entry) ? this.#bucket.wait(PER_SECOND) : 0
      if (wait > 0) {
        pool.heap.set(this.#pump, now.mono + wait)
        return
      }
      this.#urgent.delete(watched)
      this.#others.delete(watched)
      this.#fly(reader, watched, now)
    }
  }

  #fly(reader: QuotaReader, watched: Watched, now: Now): void {
    const { entry } = watched
    const token = entry.accessToken
    if (token === null || !readable(entry)) {
      watched.stage = "idle"
      this.#decide(watched, null, now)
      return
    }
    this.#bucket.spend()
    watched.stage = "flying"
    watched.readAt = now.mono
    watched.identity = entry.identity
    const controller = new AbortController()
    this.#flights.add(controller)
    const land = (reading: QuotaReading) => {
      // A reader that does not heed its signal may answer long after it was given up.
      if (!this.#flights.delete(controller)) return
      cancel()
      if (!this.#closed) this.deps.send({ type: "quota", watched, reading })
    }
    const lost = (error: unknown) =>
      land({ kind: "failed", reason: error instanceof Error ? error.message : String(error) })
    const cancel = this.deps.timers.after(ANSWER_WITHIN, () => {
      controller.abort(new Error("no answer in time"))
      land({ kind: "failed", reason: "no answer in time" })
    })
    try {
      reader.quotas(token, entry.identity, controller.signal).then(land, lost)
    } catch (error) {
      queueMicrotask(() => lost(error))
    }
  }

  /** Ends or prolongs the cooldowns that wait; without a reading they end, and a request probes. */
  #decide(watched: Watched, reading: QuotaReading | null, now: Now): void {
    const { pool, ledger, log, reader } = this.deps
    const { entry } = watched
    const held = [...watched.held.keys()]
    watched.held.clear()
    for (const rest of held) {
      // Cleared, or replaced by a longer one, meanwhile.
      if (entry.gone || entry.rests.get(rest.scope) !== rest) continue
      const until = reading?.kind === "ok" ? stillOut(reading, rest.scope) : null
      if (reader !== null && until !== null && until - now.wall >= EARLY) {
        ledger.note(entry, confirm(pool, rest, until, reader.probe, now))
        log.debug("a credential's quota is still used up", { credential: entry.id, scope: rest.scope })
        continue
      }
      pool.heap.remove(rest)
      pool.over(rest)
    }
  }
}

/** Its access token can be used for a reading, whatever it is cooling for. */
function readable(entry: Entry): boolean {
  return !entry.gone && entry.active && entry.alive && !entry.identifying && entry.accessToken !== null
}

function first(line: ReadonlySet<Watched>): Watched | null {
  for (const watched of line) return watched
  return null
}
