import type { Log } from "../observe/ports.ts"
import { admit } from "./admission.ts"
import { apply, applyLate, DURABILITY, forget } from "./changes.ts"
import type { Connection } from "./connection.ts"
import { parseTime } from "./rfc3339.ts"
import { parseSeedId } from "./seeds.ts"
import { storedOf } from "./stored.ts"
import { adopt, rotate } from "./succession.ts"
import type { Tables } from "./tables.ts"
import type {
  Binding,
  Identity,
  LateChange,
  Seed,
  SeedHint,
  SeedOutcome,
  SeedRecord,
  StateChange,
  Stored,
  TokenSet,
} from "./types.ts"

/** How long an ended cooldown is remembered for its strikes. */
const STRIKES_KEPT_MS = 7 * 24 * 3_600_000
/** A limit that the upstream has not named for so long has gone, or got another name. */
const QUOTAS_KEPT_MS = 90 * 24 * 3_600_000

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
        const stored = storedOf(row, stateOf.get(row.id) ?? null, conditionOf(row.id))
        // The epoch itself, or no time at all.
        if (stored.expiresAt === 0 && parseTime(row.expiry) === null) {
          this.#log.warn("a stored credential has an expiry that is no time; its token is renewed", {
            credential: row.id,
          })
        }
        return stored
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

  /** One of `pendingSeeds`, or null when it is not pending. */
  pendingSeed(id: string): Seed | null {
    const seed = parseSeedId(id)
    return seed === null ? null : this.#connection.read(() => this.#tables.seeds.pendingOne(seed))
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
    return this.#connection.write("seeds", "synced", () => admit(this.#tables, hints, now))
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
      this.#connection.write("seed_failed", "synced", () => this.#tables.seeds.fail(seed, reason, detail, url, now)),
    )
  }

  /** Upsert on (sub, account): in rotation with a clean record; the token it replaces is remembered as spent. */
  adopt(seed: string | null, tokens: TokenSet, who: Identity, now: number): Stored {
    return this.#connection.write("adopt", "synced", () => {
      const stored = this.#stored(adopt(this.#tables, seed, tokens, who, now))
      if (stored === null) throw new Error("an adopted credential is gone within its own transaction")
      return stored
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
    const { result, clash } = this.#connection.write("rotate", "synced", () =>
      rotate(this.#tables, id, witness, tokens, who ?? {}, now),
    )
    if (clash !== null) {
      this.#log.warn("a refreshed credential claims the identity of another one; it keeps its own", {
        credential: id,
        other: clash,
      })
    }
    return result
  }

  note(id: number, change: StateChange, now: number): void {
    this.#connection.write("note", DURABILITY[change.set], () => {
      if (this.#tables.credentials.exists(id)) apply(this.#tables, id, change, now)
    })
  }

  /** Changes that may wait, in one transaction; those for a credential that is gone are dropped. */
  flush(changes: readonly LateChange[], now: number): void {
    if (now >= this.#pruneAt) this.prune(now)
    this.#connection.write("flush", "relaxed", () => {
      const known = new Map<number, boolean>()
      const exists = (id: number): boolean => {
        const answer = known.get(id) ?? this.#tables.credentials.exists(id)
        known.set(id, answer)
        return answer
      }
      for (const change of changes) {
        if (change.late === "unbind") this.#tables.bindings.unbind(change.session)
        else if (exists(change.id)) applyLate(this.#tables, change)
      }
    })
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

  /** Forgets what has grown too old: ended seeds, idle bindings, ended cooldowns and marks, quotas not seen again. */
  prune(now: number): void {
    this.#pruneAt = now + PRUNE_EVERY_MS
    this.#connection.write("prune", "relaxed", () => {
      this.#tables.seeds.prune(now)
      this.#tables.bindings.prune(now)
      this.#tables.conditions.prune(now, now - STRIKES_KEPT_MS, now - QUOTAS_KEPT_MS)
    })
  }

  #stored(id: number): Stored | null {
    const row = this.#tables.credentials.get(id)
    return row === null ? null : storedOf(row, this.#tables.states.get(id), this.#tables.conditions.of(id))
  }

  #onSeed(id: string, work: (seed: number) => void): void {
    const seed = parseSeedId(id)
    if (seed !== null) work(seed)
  }
}
