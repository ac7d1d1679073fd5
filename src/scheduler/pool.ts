import { ALL_MODELS, type Stored } from "../store/types.ts"
import type { Due } from "./due.ts"
import { Entry, IssuedLease, Mark, type Now, Rest, type Shown } from "./entry.ts"
import { DeadlineHeap } from "./heap.ts"
import type { Ask } from "./ports.ts"
import { NONE, Ring } from "./ring.ts"

/** How many ready credentials are looked at for a less busy one. */
const LOOK_AHEAD = 4
/** Longest cooldown, mark or parking believed, in milliseconds: what said a later end was wrong, or a wall clock was. */
const LONGEST_REST = 35 * 24 * 3_600_000

/** A cooldown that ends less than this before its stated reset, in milliseconds, ends at it. */
export const EARLY = 1_000

/**
 * The credentials of one provider and which of them is next: plain state and small methods, no I/O, no timer, time passed in.
 *
 * Invariants, restored by `settle` after every change of an entry:
 * - a credential stands in the ring of a model if, and only if, it can be leased for that model now;
 * - it stands in `stale` if, and only if, it is active, its access token cannot be used, and a refresh could be begun;
 * - `counts` tells how many entries are shown in each state.
 */
export class CredentialPool {
  readonly heap = new DeadlineHeap<Due>()
  readonly entries = new Map<number, Entry>()
  readonly stale = new Ring("stale")
  readonly counts: Record<Shown, number> = {
    ready: 0,
    cooling: 0,
    refreshing: 0,
    expired: 0,
    parked: 0,
    disabled: 0,
    banned: 0,
  }
  /** Changes whenever a credential may have become ready, stopped being so, or has other prospects of becoming so. */
  version = 0
  /** Entries changed since the actor looked last; null while nobody watches. */
  changed: Set<Entry> | null = null
  /** Leases not yet ended. */
  inFlight = 0
  /** Number of the youngest lease. */
  youngest = 0
  /** A lease was taken while other credentials lie expired, or one that was dormant: the actor has refreshes to begin. */
  nudge: Entry | true | null = null
  /** No refresh is sent before this monotonic time: the token endpoint refuses Pollux itself. */
  renewalsFrom = Number.NEGATIVE_INFINITY
  /** Set by the actor while a revival is under way, so that leases do not ask for more. */
  reviving = false

  #models: readonly string[] = []
  #rings = new Map<string, Ring>()
  #ringList: Ring[] = []
  readonly #slots: (Entry | undefined)[] = []
  readonly #free: number[] = []

  get models(): readonly string[] {
    return this.#models
  }

  /** Entry of a slot that stands in a ring. */
  at(slot: number): Entry | undefined {
    return this.#slots[slot]
  }

  /** The list of models changed: rings of new ones are filled, those of removed ones dropped. */
  setModels(models: readonly string[]): void {
    const same = models.length === this.#models.length && models.every((model, i) => model === this.#models[i])
    this.#models = models
    if (same) return
    const rings = new Map<string, Ring>()
    for (const model of models) rings.set(model, this.#rings.get(model) ?? new Ring(model))
    this.#rings = rings
    this.#ringList = [...rings.values()]
    for (const entry of this.entries.values()) this.settle(entry)
    this.version++
  }

  knows(model: string): boolean {
    return this.#rings.has(model)
  }

  ready(model: string): number {
    return this.#rings.get(model)?.size ?? 0
  }

  isReady(entry: Entry, model: string): boolean {
    return this.#rings.get(model)?.has(entry.slot) ?? false
  }

  /** Finds or makes the entry of a stored row. The caller fills it and settles it. */
  place(row: Stored): Entry {
    const known = this.entries.get(row.id)
    if (known !== undefined) return known
    const slot = this.#free.pop() ?? this.#slots.length
    const entry = new Entry(row.id, slot, row.identity)
    this.#slots[slot] = entry
    this.entries.set(row.id, entry)
    return entry
  }

  /** Takes over everything a stored row says but its tokens: standing, cooldowns, marks, notes. */
  restore(entry: Entry, row: Stored, now: Now): void {
    this.pardon(entry)
    entry.identity = row.identity
    entry.standing = row.standing
    entry.refreshDead = row.refreshDead
    entry.lastError = row.lastError
    entry.quotas = row.quotas
    entry.ambiguous = row.intentAt !== null
    if (row.lastLeasedAt !== null && entry.lastLeasedWall === null) {
      entry.lastLeasedWall = row.lastLeasedAt
      entry.leasedAt = now.mono + Math.min(0, row.lastLeasedAt - now.wall)
    }
    for (const cooldown of row.cooldowns) {
      entry.strikes.recall(cooldown.cause, cooldown.scope, cooldown.strikes)
      entry.storedRests.add(cooldown.scope)
      const { scope, until, stated, cause, quota, strikes } = cooldown
      const rest = new Rest(entry, scope, stated, cause, quota, strikes)
      rest.early = quota && stated - until >= EARLY
      this.rest(entry, rest, now.mono + (until - now.wall), now)
    }
    for (const mark of row.marks) this.mark(entry, mark.model, now.mono + (mark.until - now.wall), now)
    const standing = row.standing
    if (standing.kind === "parked") {
      entry.strikes.recall(`park:${standing.reason}`, ALL_MODELS, standing.strikes)
      if (standing.until !== null) {
        const wait = Math.min(Math.max(0, standing.until - now.wall), LONGEST_REST)
        this.heap.set(entry.parole, now.mono + wait)
      }
    }
  }

  /** Forgets cooldowns, marks and failures in a row: the operator says "try again". */
  pardon(entry: Entry): void {
    for (const rest of entry.rests.values()) this.heap.remove(rest)
    for (const mark of entry.marks.values()) this.heap.remove(mark)
    entry.rests.clear()
    entry.marks.clear()
    entry.strikes.clear()
    entry.storedRests.clear()
    this.heap.remove(entry.parole)
    entry.onParole = false
    entry.lastError = null
    entry.refusals = 0
    entry.amnesty = this.youngest
    this.version++
  }

  remove(entry: Entry): void {
    this.pardon(entry)
    this.heap.remove(entry.expiry)
    this.heap.remove(entry.renew)
    for (const ring of this.#ringList) ring.remove(entry.slot)
    this.stale.remove(entry.slot)
    if (entry.counted) this.counts[entry.shown]--
    entry.gone = true
    this.entries.delete(entry.id)
    this.#slots[entry.slot] = undefined
    this.#free.push(entry.slot)
    this.version++
  }

  /**
   * A cooldown begins or grows; one that ends later already in the same scope stays as it is.
   * Returns whether anything changed. The caller settles.
   */
  rest(entry: Entry, rest: Rest, end: number, now: Now): boolean {
    const until = Math.min(end, now.mono + LONGEST_REST)
    if (!(until > now.mono)) return false
    const old = entry.rests.get(rest.scope)
    if (old !== undefined) {
      if (old.at >= until) return false
      this.heap.remove(old)
    }
    entry.rests.set(rest.scope, rest)
    this.heap.set(rest, until)
    this.version++
    return true
  }

  /** A cooldown in force goes on until then. */
  postpone(rest: Rest, end: number, now: Now): void {
    this.heap.set(rest, Math.min(end, now.mono + LONGEST_REST))
    this.version++
    this.changed?.add(rest.entry)
  }

  /** The credential lacks `model` until then; an earlier end never shortens a later one. */
  mark(entry: Entry, model: string, end: number, now: Now): boolean {
    const until = Math.min(end, now.mono + LONGEST_REST)
    if (!(until > now.mono)) return false
    const mark = entry.marks.get(model) ?? new Mark(entry, model)
    if (mark.pending && mark.at >= until) return false
    entry.marks.set(model, mark)
    this.heap.set(mark, until)
    this.version++
    return true
  }

  /** What the credential lacks is to be found out anew. Returns the models. */
  unmark(entry: Entry): readonly string[] {
    const models = [...entry.marks.keys()]
    if (models.length === 0) return models
    for (const mark of entry.marks.values()) this.heap.remove(mark)
    entry.marks.clear()
    this.version++
    this.settle(entry)
    return models
  }

  /** A cooldown or a mark has come to its end. */
  over(due: Rest | Mark): void {
    if (due.kind === "rest") due.entry.rests.delete(due.scope)
    else due.entry.marks.delete(due.model)
    this.version++
    this.settle(due.entry)
  }

  /** Restores the invariants after `entry` changed: O(models), independent of the number of credentials. */
  settle(entry: Entry): void {
    if (entry.gone) return
    const open = entry.open
    const held = entry.rests.size > 0 || entry.marks.size > 0
    const slot = entry.slot
    let places = 0
    for (const ring of this.#ringList) {
      if (open && !(held && entry.blocks(ring.name))) {
        places++
        ring.push(slot)
      } else ring.remove(slot)
    }
    if (entry.active && !entry.alive && entry.renewable && !entry.identifying && !entry.rests.has(ALL_MODELS)) {
      this.stale.push(slot)
    } else this.stale.remove(slot)
    const shown = this.#show(entry, places)
    if (entry.counted) this.counts[entry.shown]--
    this.counts[shown]++
    entry.shown = shown
    entry.counted = true
    const signature = signatureOf(entry)
    if (signature !== entry.signature) this.version++
    entry.signature = signature
    this.changed?.add(entry)
  }

  /**
   * Leases the bound credential if it is ready; else the least busy among the first few whose turn it is, skipping what the ask
   * excludes; else one the ask would rather avoid. Null when there is none. O(1) but for the credentials the ask names.
   */
  take(ask: Ask, bound: Entry | null, now: number): IssuedLease | null {
    const ring = this.#rings.get(ask.model)
    if (ring === undefined || ring.size === 0) return null
    if (ask.only !== null) {
      const entry = this.entries.get(ask.only)
      return entry !== undefined && ring.has(entry.slot) ? this.#issue(ring, entry, bound, now) : null
    }
    if (bound !== null && ring.has(bound.slot) && !ask.exclude.has(bound.id) && !ask.avoid.has(bound.id)) {
      return this.#issue(ring, bound, bound, now)
    }
    const entry = this.#pick(ring, ask)
    return entry === null ? null : this.#issue(ring, entry, bound, now)
  }

  /** A lease ends. */
  release(lease: IssuedLease): void {
    lease.ended = true
    lease.entry.inFlight--
    this.inFlight--
  }

  #pick(ring: Ring, ask: Ask): Entry | null {
    const { exclude, avoid } = ask
    const choosy = exclude.size > 0 || avoid.size > 0
    let best: Entry | null = null
    let fallback: Entry | null = null
    let looked = 0
    let slot = ring.head
    for (let left = ring.size; left > 0 && looked < LOOK_AHEAD && slot !== NONE; left--) {
      const entry = this.#slots[slot]
      slot = ring.after(slot)
      if (entry === undefined) continue
      if (choosy) {
        if (exclude.has(entry.id)) continue
        if (avoid.has(entry.id)) {
          fallback ??= entry
          continue
        }
      }
      if (best === null || entry.inFlight < best.inFlight) best = entry
      if (best.inFlight === 0) break
      looked++
    }
    return best ?? fallback
  }

  #issue(ring: Ring, entry: Entry, bound: Entry | null, now: number): IssuedLease | null {
    const token = entry.accessToken
    if (token === null) return null
    ring.rotate(entry.slot)
    entry.inFlight++
    this.inFlight++
    entry.leasedAt = now
    if (entry.dormant) this.nudge = entry
    else if (this.stale.size > 0 && !this.reviving && this.nudge === null) this.nudge = true
    return new IssuedLease(++this.youngest, entry, ring.name, token, entry === bound)
  }

  #show(entry: Entry, places: number): Shown {
    const kind = entry.standing.kind
    if (kind !== "active") return kind
    if (places > 0) return "ready"
    if (entry.rests.has(ALL_MODELS)) return "cooling"
    if (entry.identifying || entry.renewal === "flying" || (entry.renewal === "queued" && !entry.alive)) {
      return "refreshing"
    }
    return entry.alive ? "cooling" : "expired"
  }
}

/** What of an entry, beside cooldowns and marks, decides about its prospects. */
function signatureOf(entry: Entry): number {
  if (!entry.active) return 0
  return (
    1 |
    (entry.alive ? 2 : 0) |
    (entry.identifying ? 4 : 0) |
    (entry.refreshDead === null ? 0 : 8) |
    (entry.renewal === "backoff" ? 16 : 0)
  )
}
