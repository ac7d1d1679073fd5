import type { CredentialSource } from "../../../src/scheduler/ports.ts"
import {
  ALL_MODELS,
  type Binding,
  type Identity,
  type LateChange,
  type Seed,
  type SeedHint,
  type SeedOutcome,
  type SeedRecord,
  type StateChange,
  type Stored,
  type TokenSet,
} from "../../../src/store/types.ts"

type Row = { -readonly [K in keyof Stored]: Stored[K] }
type SeedRow = { -readonly [K in keyof Seed]: Seed[K] } & { outcome: SeedOutcome; createdAt: number; updatedAt: number }

/** Writes that a test can make fail or observe. */
export type Write =
  | "addSeeds"
  | "intendSeed"
  | "holdSeed"
  | "failSeed"
  | "adopt"
  | "intend"
  | "rotate"
  | "note"
  | "flush"
  | "remove"

/** A store in memory that behaves as the ports say, fails where it is told to, and writes down what it was asked. */
export class MemorySource implements CredentialSource {
  readonly rows = new Map<number, Row>()
  readonly seedRows = new Map<string, SeedRow>()
  readonly bound = new Map<string, Binding>()
  readonly spent = new Map<string, number>()
  /** Every write that came, in order, failed ones included. */
  readonly journal: string[] = []
  /** Writes that fail as long as they stand here. */
  readonly failing = new Set<Write>()
  /** Called before a write takes effect; may throw to stand for a crash. */
  before: ((write: Write) => void) | null = null
  #nextId = 1
  #nextSeed = 1

  /** Puts a credential into the store. */
  put(fields: Partial<Stored> = {}): Stored {
    const id = this.#nextId++
    const row: Row = {
      id,
      identity: { sub: `sub${id}`, account: `account${id}`, email: `user${id}@example.com`, plan: null },
      accessToken: `access${id}`,
      refreshToken: `refresh${id}`,
      expiresAt: Date.UTC(2026, 0, 1) + 3_600_000,
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [],
      marks: [],
      quotas: [],
      lastError: null,
      lastLeasedAt: null,
      intentAt: null,
      ...fields,
    }
    this.rows.set(id, row)
    return row
  }

  row(id: number): Stored {
    const row = this.rows.get(id)
    if (row === undefined) throw new Error(`no row ${id}`)
    return row
  }

  load(): readonly Stored[] {
    return [...this.rows.values()].map((row) => ({ ...row }))
  }

  pendingSeeds(): readonly Seed[] {
    return [...this.seedRows.values()].filter((seed) => seed.outcome.kind === "pending").map((seed) => ({ ...seed }))
  }

  pendingSeed(id: string): Seed | null {
    const seed = this.seedRows.get(id)
    return seed?.outcome.kind === "pending" ? { ...seed } : null
  }

  seedRecords(limit: number): readonly SeedRecord[] {
    return [...this.seedRows.values()].slice(-limit)
  }

  seedOutcome(id: string): SeedOutcome | null {
    return this.seedRows.get(id)?.outcome ?? null
  }

  addSeeds(hints: readonly SeedHint[], now: number): readonly SeedOutcome[] {
    this.#write("addSeeds", String(hints.length))
    const outcomes: SeedOutcome[] = []
    const seen = new Set<string>()
    for (const hint of hints) {
      if (seen.has(hint.refreshToken)) continue
      seen.add(hint.refreshToken)
      outcomes.push(this.#addSeed(hint, now))
    }
    return outcomes
  }

  intendSeed(id: string, now: number): void {
    this.#write("intendSeed", id)
    const seed = this.seedRows.get(id)
    if (seed === undefined) return
    seed.intentAt = now
    seed.attempts++
  }

  holdSeed(id: string, tokens: TokenSet, _now: number): void {
    this.#write("holdSeed", `${id} ${tokens.refreshToken}`)
    const seed = this.seedRows.get(id)
    if (seed === undefined) return
    seed.tokens = tokens
    seed.intentAt = null
  }

  failSeed(id: string, reason: string, detail: string, url: string | null, now: number): void {
    this.#write("failSeed", `${id} ${reason}`)
    const seed = this.seedRows.get(id)
    if (seed === undefined) return
    seed.outcome = { kind: "failed", id, reason, detail, url }
    seed.updatedAt = now
  }

  adopt(seed: string | null, tokens: TokenSet, who: Identity, now: number): Stored {
    this.#write("adopt", `${seed} ${tokens.refreshToken}`)
    let row = [...this.rows.values()].find(
      (other) => other.identity.sub === who.sub && other.identity.account === who.account,
    )
    if (row === undefined) {
      const id = this.put().id
      row = this.rows.get(id)
      if (row === undefined) throw new Error("unreachable")
    } else this.#spend(row.refreshToken, row.id, tokens.refreshToken)
    Object.assign(row, {
      identity: who,
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
      expiresAt: tokens.expiresAt,
      intentAt: null,
    })
    this.#clear(row)
    row.standing = { kind: "active" }
    const seedRow = seed === null ? undefined : this.seedRows.get(seed)
    if (seedRow !== undefined) {
      seedRow.outcome = { kind: "adopted", id: seedRow.id, credential: row.id, email: who.email }
      seedRow.updatedAt = now
      this.#spend(seedRow.refreshToken, row.id, tokens.refreshToken)
    }
    return { ...row }
  }

  intend(id: number, now: number): void {
    this.#write("intend", String(id))
    const row = this.rows.get(id)
    if (row !== undefined) row.intentAt = now
  }

  rotate(
    id: number,
    witness: string,
    tokens: TokenSet,
    who: Partial<Identity> | null,
    _now: number,
  ): "stored" | "superseded" {
    this.#write("rotate", `${id} ${tokens.refreshToken}`)
    const row = this.rows.get(id)
    if (row === undefined || row.refreshToken !== witness) return "superseded"
    this.#spend(witness, id, tokens.refreshToken)
    const { sub, account } = row.identity
    const identity = { ...row.identity, ...who }
    const taken = [...this.rows.values()].some(
      (other) => other !== row && other.identity.sub === identity.sub && other.identity.account === identity.account,
    )
    Object.assign(row, {
      accessToken: tokens.accessToken,
      refreshToken: tokens.refreshToken,
      expiresAt: tokens.expiresAt,
      identity: taken ? { ...identity, sub, account } : identity,
      refreshDead: null,
      intentAt: null,
    })
    return "stored"
  }

  read(id: number): Stored | null {
    const row = this.rows.get(id)
    return row === undefined ? null : { ...row }
  }

  note(id: number, change: StateChange, _now: number): void {
    this.#write("note", `${id} ${change.set}`)
    const row = this.rows.get(id)
    if (row === undefined) return
    switch (change.set) {
      case "standing":
        row.standing = change.standing
        break
      case "refresh_dead":
        row.refreshDead = change.reason
        break
      case "cooldown":
        row.cooldowns = [...row.cooldowns.filter((old) => old.scope !== change.cooldown.scope), change.cooldown]
        break
      case "cooldown_over":
        row.cooldowns = row.cooldowns.filter((old) => old.scope !== change.scope)
        break
      case "mark":
        row.marks = [...row.marks.filter((old) => old.model !== change.mark.model), change.mark]
        break
      case "mark_over":
        row.marks = row.marks.filter((old) => old.model !== change.model)
        break
      case "error":
        row.lastError = change.error
        break
      case "intent_over":
        row.intentAt = null
        break
      case "clear":
        this.#clear(row)
        if (row.standing.kind === "parked") row.standing = { kind: "active" }
        break
    }
  }

  flush(changes: readonly LateChange[], _now: number): void {
    this.#write("flush", String(changes.length))
    for (const change of changes) {
      if (change.late === "bind") {
        this.bound.set(change.session, { session: change.session, credential: change.id, usedAt: change.at })
        continue
      }
      if (change.late === "unbind") {
        this.bound.delete(change.session)
        continue
      }
      const row = this.rows.get(change.id)
      if (row === undefined) continue
      if (change.late === "leased") row.lastLeasedAt = change.at
      else if (change.late === "quota") row.quotas = change.windows
      else row.identity = { ...row.identity, plan: change.plan }
    }
  }

  bindings(limit: number): readonly Binding[] {
    return [...this.bound.values()].sort((a, b) => b.usedAt - a.usedAt).slice(0, limit)
  }

  remove(id: number): void {
    this.#write("remove", String(id))
    this.rows.delete(id)
  }

  /** How often a write came. */
  count(write: Write): number {
    return this.journal.filter((line) => line.startsWith(`${write} `)).length
  }

  #addSeed(hint: SeedHint, now: number): SeedOutcome {
    const { refreshToken } = hint
    const own = [...this.rows.values()].find((row) => row.refreshToken === refreshToken)
    const known = own?.id ?? this.spent.get(refreshToken)
    const before = [...this.seedRows.values()].find((seed) => seed.refreshToken === refreshToken)
    if (before !== undefined && before.outcome.kind === "pending") return before.outcome
    const id = before?.id ?? `s${this.#nextSeed++}`
    let outcome: SeedOutcome = { kind: "pending", id }
    if (known !== undefined) outcome = { kind: "known", id, credential: known }
    if (own !== undefined) {
      this.#clear(own)
      own.standing = { kind: "active" }
    }
    const tokens = before?.tokens ?? null
    this.seedRows.set(id, { ...hint, id, attempts: 0, intentAt: null, tokens, outcome, createdAt: now, updatedAt: now })
    return outcome
  }

  #clear(row: Row): void {
    row.cooldowns = []
    row.marks = []
    row.refreshDead = null
    row.lastError = null
  }

  #spend(token: string, id: number, current: string): void {
    if (token !== current) this.spent.set(token, id)
  }

  #write(write: Write, what: string): void {
    this.journal.push(`${write} ${what}`)
    this.before?.(write)
    if (this.failing.has(write)) throw new Error(`the disk is full (${write})`)
  }
}

/** A cooldown as a row has it. */
export function coolingUntil(until: number, scope = ALL_MODELS) {
  return { scope, until, stated: until, cause: "quota", strikes: 1, quota: true }
}
