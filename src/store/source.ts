import type { Log } from "../observe/ports.ts"
import { admit } from "./admission.ts"
import { tokenHash } from "./cipher.ts"
import type { Connection, Durability } from "./connection.ts"
import type { Row } from "./credentials.ts"
import { forget, forgive } from "./reconcile.ts"
import { formatTime, parseTime } from "./rfc3339.ts"
import { parseSeedId } from "./seeds.ts"
import { ACTIVE, statusOf } from "./standing.ts"
import { storedOf } from "./stored.ts"
import type { Tables } from "./tables.ts"
import type {
  Binding,
  Identity,
  LateChange,
  Seed,
  SeedHint,
  SeedOutcome,
  SeedRecord,
  Standing,
  StateChange,
  Stored,
  TokenSet,
} from "./types.ts"

/** What a change must outlive: a word that an operator relies on, a power cut; what the upstream would say again, less. */
const DURABILITY: Readonly<Record<StateChange["set"], Durability>> = {
  standing: "synced",
  refresh_dead: "synced",
  clear: "synced",
  intent_over: "relaxed",
  cooldown: "relaxed",
  cooldown_over: "relaxed",
  mark: "relaxed",
  mark_over: "relaxed",
  error: "relaxed",
}

/** How long an ended cooldown is remembered for its strikes. */
const STRIKES_KEPT_MS = 7 * 24 * 3_600_000

/** How often old seeds, bindings and cooldowns are looked for while serving. */
const PRUNE_EVERY_MS = 3_600_000

/**
 * The persistent side of one provider's pool (CredentialSource of the scheduler's ports). Every method is one transaction;
 * each throws StoreError when the database fails, and then has written nothing.
 */
export class Source {
  readonly #connection: Connection
  readonly #tables: Tables
  readonly #log: Log
  #pruneAt = 0

  constructor(connection: Connection, tables: Tables, log: Log) {
    this.#connection = connection
    this.#tables = tables
    this.#log = log
  }

  load(): readonly Stored[] {
    return this.#connection.read(() => {
      const { credentials, states, conditions } = this.#tables
      const stateOf = new Map(states.all().map((state) => [state.credential, state]))
      const conditionOf = conditions.all()
      return credentials.all().map((row) => {
        if (parseTime(row.expiry) === null) {
          this.#log.warn("a stored credential has an expiry that is no time; its token is renewed", {
            credential: row.id,
          })
        }
        return storedOf(row, stateOf.get(row.id) ?? null, conditionOf(row.id))
      })
    })
  }

  /** The row as it stands, or null when it is gone. */
  read(id: number): Stored | null {
    return this.#connection.read(() => this.#stored(id))
  }

  /** Seeds without a final outcome, oldest first. */
  pendingSeeds(): readonly Seed[] {
    return this.#connection.read(() => this.#tables.seeds.pending())
  }

  /** Newest change first. */
  seedRecords(limit: number): readonly SeedRecord[] {
    return this.#connection.read(() => this.#tables.seeds.records(limit))
  }

  seedOutcome(id: string): SeedOutcome | null {
    const seed = parseSeedId(id)
    return seed === null ? null : this.#connection.read(() => this.#tables.seeds.outcome(seed))
  }

  /**
   * Records seeds. One that equals a stored refresh token puts that credential back in rotation with all its troubles
   * forgotten; such a one, and one that is a spent token, is `known` and never sent. One pending already keeps its id.
   * @returns an outcome for each different token, in the order given
   */
  addSeeds(hints: readonly SeedHint[], now: number): readonly SeedOutcome[] {
    return this.#connection.write("seeds", "synced", () =>
      admit(this.#tables, hints, now, (id) => this.#reactivate(id, now)),
    )
  }

  /** Before a seed's refresh is sent. */
  intendSeed(id: string, now: number): void {
    this.#onSeed(id, (seed) =>
      this.#connection.write("seed_intent", "synced", () => this.#tables.seeds.intend(seed, now)),
    )
  }

  /** The seed's refresh was answered: its new tokens are kept with it until it is adopted or failed. */
  holdSeed(id: string, tokens: TokenSet, now: number): void {
    this.#onSeed(id, (seed) =>
      this.#connection.write("seed_held", "synced", () => {
        const row = this.#tables.seeds.get(seed)
        if (row !== null) this.#tables.seeds.hold(row, tokens, now)
      }),
    )
  }

  failSeed(id: string, reason: string, detail: string, url: string | null, now: number): void {
    this.#onSeed(id, (seed) =>
      this.#connection.write("seed_failed", "synced", () =>
        this.#tables.seeds.end(seed, { outcome: "failed", reason, detail, url }, now),
      ),
    )
  }

  /** Upsert on (sub, account): in rotation with a clean record; the token it replaces is remembered as spent. */
  adopt(seed: string | null, tokens: TokenSet, who: Identity, now: number): Stored {
    return this.#connection.write("adopt", "synced", () => {
      const { credentials, seeds } = this.#tables
      const existing = credentials.find(who.sub, who.account)
      const id = existing === null ? this.#insert(tokens, who, now) : this.#replace(existing, tokens, who, now)
      const seedRow = seed === null ? null : seeds.get(parseSeedId(seed) ?? 0)
      if (seedRow !== null) {
        this.#spend(id, [seedRow.hash, seedRow.tokens && tokenHash(seedRow.tokens.refreshToken)], tokens, now)
        seeds.end(seedRow.id, { outcome: "adopted", credential: id }, now)
      }
      return this.#mustRead(id)
    })
  }

  /** Before a refresh is sent: a restart that finds this row treats the token as ambiguous. */
  intend(id: number, now: number): void {
    this.#connection.write("intend", "synced", () => {
      if (this.#tables.credentials.exists(id)) this.#tables.conditions.intend(id, now)
    })
  }

  /**
   * Compare-and-swap on the old refresh token. `superseded`: the row holds another one, or is gone; nothing was written.
   * An identity that another credential has by now is not taken over: the tokens are stored under the old one.
   */
  rotate(
    id: number,
    witness: string,
    tokens: TokenSet,
    who: Partial<Identity> | null,
    now: number,
  ): "stored" | "superseded" {
    return this.#connection.write("rotate", "synced", () => {
      const { credentials, states, conditions } = this.#tables
      const row = credentials.get(id)
      if (row === null || row.refreshToken !== witness) return "superseded"
      const hash = tokenHash(tokens.refreshToken)
      credentials.update(row, this.#ownIdentity(row, who ?? {}), tokens, row.status, now)
      if (who?.plan) this.#setPlan(id, who.plan)
      states.witness(id, hash, formatTime(now), now)
      states.setRefreshDead(id, null, now)
      conditions.endIntent(id)
      this.#spend(id, [tokenHash(witness)], tokens, now)
      return "stored"
    })
  }

  note(id: number, change: StateChange, now: number): void {
    this.#connection.write("note", DURABILITY[change.set], () => {
      if (this.#tables.credentials.exists(id)) this.#apply(id, change, now)
    })
  }

  /** Changes that may wait, in one transaction; those for a credential that is gone are dropped. */
  flush(changes: readonly LateChange[], now: number): void {
    this.#connection.write("flush", "relaxed", () => {
      const known = new Map<number, boolean>()
      const exists = (id: number): boolean => {
        const answer = known.get(id) ?? this.#tables.credentials.exists(id)
        known.set(id, answer)
        return answer
      }
      for (const change of changes) {
        if (change.late === "unbind") this.#tables.bindings.unbind(change.session)
        else if (exists(change.id)) this.#applyLate(change)
      }
    })
    if (now >= this.#pruneAt) this.prune(now)
  }

  /** The most recently used, newest first. */
  bindings(limit: number): readonly Binding[] {
    return this.#connection.read(() => this.#tables.bindings.newest(limit))
  }

  /** Deletes the credential and all that is known of it but its usage; its id is never given out again. */
  remove(id: number): void {
    this.#connection.write("remove", "synced", () => {
      if (!this.#tables.credentials.exists(id)) return
      this.#tables.credentials.remove(id)
      forget(this.#tables, id)
    })
  }

  /** Forgets what has grown too old: ended seeds, idle bindings, ended cooldowns and marks. */
  prune(now: number): void {
    this.#pruneAt = now + PRUNE_EVERY_MS
    this.#connection.write("prune", "relaxed", () => {
      this.#tables.seeds.prune(now)
      this.#tables.bindings.prune(now)
      this.#tables.conditions.prune(now, now - STRIKES_KEPT_MS)
    })
  }

  #stored(id: number): Stored | null {
    const row = this.#tables.credentials.get(id)
    return row === null ? null : storedOf(row, this.#tables.states.get(id), this.#tables.conditions.of(id))
  }

  #mustRead(id: number): Stored {
    const stored = this.#stored(id)
    if (stored === null) throw new Error(`credential ${id} is gone within its own transaction`)
    return stored
  }

  #onSeed(id: string, work: (seed: number) => void): void {
    const seed = parseSeedId(id)
    if (seed !== null) work(seed)
  }

  #insert(tokens: TokenSet, who: Identity, now: number): number {
    const { credentials, states, spent } = this.#tables
    const hash = tokenHash(tokens.refreshToken)
    const id = credentials.insert(who, tokens, now)
    states.create(id, ACTIVE, hash, formatTime(now), now)
    if (who.plan !== null) this.#setPlan(id, who.plan)
    spent.forget(hash)
    return id
  }

  #replace(row: Row, tokens: TokenSet, who: Identity, now: number): number {
    const { credentials, states, conditions } = this.#tables
    credentials.update(row, who, tokens, 1, now)
    if (who.plan !== null) this.#setPlan(row.id, who.plan)
    states.witness(row.id, tokenHash(tokens.refreshToken), formatTime(now), now)
    states.setStanding(row.id, ACTIVE, now)
    forgive(this.#tables, row.id, now)
    conditions.endIntent(row.id)
    this.#spend(row.id, [tokenHash(row.refreshToken)], tokens, now)
    return row.id
  }

  /** Remembers tokens as spent, except the one that is in use now. */
  #spend(id: number, hashes: readonly (string | null)[], current: TokenSet, now: number): void {
    const inUse = tokenHash(current.refreshToken)
    this.#tables.spent.forget(inUse)
    for (const hash of hashes) if (hash !== null && hash !== inUse) this.#tables.spent.add(id, hash, now)
  }

  #ownIdentity(row: Row, who: Partial<Identity>): Partial<Identity> {
    const sub = who.sub ?? row.sub
    const account = who.account ?? row.account
    const holder = this.#tables.credentials.find(sub, account)
    if (holder === null || holder.id === row.id) return who
    this.#log.warn("a refreshed credential claims the identity of another one; it keeps its own", {
      credential: row.id,
      other: holder.id,
    })
    return { ...who, sub: row.sub, account: row.account }
  }

  #reactivate(id: number, now: number): void {
    this.#setStanding(id, ACTIVE, now)
    forgive(this.#tables, id, now)
  }

  /** Keeps `status` of the credential table in step, which is what the Rust program reads. */
  #setStanding(id: number, standing: Standing, now: number): void {
    const { credentials, states } = this.#tables
    const row = credentials.get(id)
    if (row === null) return
    states.setStanding(id, standing, now)
    const status = statusOf(standing)
    if (row.status === status) return
    credentials.setStatus(id, status, now)
    states.witness(id, tokenHash(row.refreshToken), formatTime(now), now)
  }

  #setPlan(id: number, plan: string): void {
    if (!this.#tables.credentials.setPlan(id, plan)) this.#tables.states.setPlan(id, plan)
  }

  #apply(id: number, change: StateChange, now: number): void {
    const { states, conditions } = this.#tables
    switch (change.set) {
      case "standing":
        this.#setStanding(id, change.standing, now)
        break
      case "refresh_dead":
        states.setRefreshDead(id, change.reason, now)
        break
      case "cooldown":
        conditions.setCooldown(id, change.cooldown)
        break
      case "cooldown_over":
        conditions.endCooldown(id, change.scope)
        break
      case "mark":
        conditions.setMark(id, change.mark)
        break
      case "mark_over":
        conditions.endMark(id, change.model)
        break
      case "error":
        states.setError(id, change.error, now)
        break
      case "intent_over":
        conditions.endIntent(id)
        break
      case "clear":
        if (states.get(id)?.standing === "parked") states.setStanding(id, ACTIVE, now)
        forgive(this.#tables, id, now)
        break
    }
  }

  #applyLate(change: Exclude<LateChange, { late: "unbind" }>): void {
    switch (change.late) {
      case "leased":
        this.#tables.states.setLeased(change.id, change.at)
        break
      case "quota":
        for (const window of change.windows) this.#tables.conditions.setQuota(change.id, window)
        break
      case "plan":
        this.#setPlan(change.id, change.plan)
        break
      case "bind":
        this.#tables.bindings.bind(change.session, change.id, change.at)
        break
    }
  }
}
