import type { Random } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { Identity, LastError, StateChange } from "../store/types.ts"
import { Chore } from "./due.ts"
import type { Entry, IssuedLease, Now } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import type { IdentifyTask, Onboarding } from "./onboarding.ts"
import { park, punish } from "./penalties.ts"
import type { CredentialPool } from "./pool.ts"
import type { Action, CredentialSource, Identified, ParkAction } from "./ports.ts"
import { delayAfter } from "./refresh.ts"
import type { Renewals } from "./renewals.ts"

/** An error of the same cause is stored again only after this long, in milliseconds: a storm of failures is no storm of writes. */
const STORE_ERROR_EVERY = 60_000
const IDENTIFY_TRIES = 3
const IDENTIFY_AGAIN_FIRST = 2_000
const IDENTIFY_AGAIN_MOST = 30_000

export interface FaultDeps {
  readonly pool: CredentialPool
  readonly source: CredentialSource
  readonly ledger: Ledger
  readonly renewals: Renewals
  readonly onboarding: Onboarding
  readonly random: Random
  readonly log: Log
}

/** What the relay reports about leases: each fault does to its credential what the provider's verdict says. */
export class Faults {
  constructor(readonly deps: FaultDeps) {}

  report(lease: IssuedLease, action: Action, error: LastError | null, now: Now): void {
    const { pool, ledger, renewals, random, log } = this.deps
    const { entry } = lease
    // It is gone, or was added anew or cleared since: "try again" means that older faults do not count.
    if (entry.gone || lease.id <= entry.amnesty) return
    if (error !== null) this.#remember(entry, error, now)
    switch (action.do) {
      case "none":
        return
      case "refresh":
        // A late refusal of a token that was replaced already: the retry alone is right.
        if (action.generation >= entry.generation) renewals.refuse(entry, now)
        return
      case "identify":
        this.#identify(entry, lease.id, action.then)
        return
      default: {
        const before = entry.standing.kind
        const changes = punish(pool, entry, lease.id, action, now, random)
        ledger.note(entry, changes)
        this.#tell(entry, action, changes, before, log)
      }
    }
  }

  #tell(entry: Entry, action: Action, changes: readonly StateChange[], before: string, log: Log): void {
    const { standing } = entry
    if (standing.kind !== before && (standing.kind === "parked" || standing.kind === "banned")) {
      log.warn(`a credential was ${standing.kind}`, {
        credential: entry.id,
        reason: standing.reason,
        detail: standing.detail,
      })
    } else if (changes.length > 0) {
      log.debug("a credential is held back", { credential: entry.id, action: action.do })
    }
  }

  #remember(entry: Entry, error: LastError, now: Now): void {
    const same = entry.lastError?.cause === error.cause
    entry.lastError = error
    if (same && now.mono - entry.lastErrorStored < STORE_ERROR_EVERY) return
    entry.lastErrorStored = now.mono
    this.deps.ledger.note(entry, [{ set: "error", error }])
  }

  /** Asks anew whose tokens these are; parks the credential if that changes nothing. It is not leased meanwhile. */
  #identify(entry: Entry, lease: number, then: ParkAction): void {
    if (entry.identifying || !entry.active) return
    const { pool, onboarding, random } = this.deps
    let tries = 0
    const ask = () => {
      const task: IdentifyTask = {
        tokens: {
          accessToken: entry.accessToken ?? "",
          refreshToken: entry.refreshToken,
          expiresAt: entry.expiresAt,
          idToken: null,
        },
        account: null,
        urgent: true,
        identified: (outcome, later) => {
          tries++
          if (entry.gone || !entry.identifying) return
          if (outcome.kind === "transient" && tries < IDENTIFY_TRIES) {
            const delay = delayAfter(tries, IDENTIFY_AGAIN_FIRST, IDENTIFY_AGAIN_MOST, random)
            pool.heap.set(new Chore(ask), later.mono + delay)
            return
          }
          entry.identifying = false
          this.#identified(entry, lease, then, outcome, later)
        },
      }
      onboarding.add(task)
    }
    entry.identifying = true
    pool.settle(entry)
    ask()
  }

  #identified(entry: Entry, lease: number, then: ParkAction, outcome: Identified, now: Now): void {
    const { pool, ledger, log } = this.deps
    if (outcome.kind === "ok" && outcome.who.account !== entry.identity.account) {
      if (this.#move(entry, outcome.who, now)) return
    }
    // What the request was refused for stays: that the account has no other project is not what is wrong with this one.
    const action: ParkAction =
      outcome.kind === "refused"
        ? { ...then, detail: `${then.detail} The account itself: ${outcome.detail}`, url: outcome.url ?? then.url }
        : then
    const changes = park(pool, entry, lease, action, now)
    if (changes.length === 0) pool.settle(entry)
    ledger.note(entry, changes)
    log.warn("a credential was parked", { credential: entry.id, reason: action.reason, detail: action.detail })
  }

  /**
   * The tokens belong to another account or project than we thought: stored first. False if the store refuses, or keeps the old
   * one because another credential has the new one already.
   */
  #move(entry: Entry, who: Identity, now: Now): boolean {
    const { pool, source, log } = this.deps
    const { accessToken, refreshToken, expiresAt } = entry
    const tokens = { accessToken: accessToken ?? "", refreshToken, expiresAt, idToken: null }
    try {
      if (source.rotate(entry.id, refreshToken, tokens, who, now.wall) !== "stored") return false
      const stored = source.read(entry.id)?.identity
      if (stored?.account !== who.account) return false
      entry.identity = stored
    } catch (error) {
      log.error("a credential's new account could not be stored", {
        credential: entry.id,
        error: error instanceof Error ? error.message : String(error),
      })
      return false
    }
    pool.settle(entry)
    log.info("a credential has another account now", { credential: entry.id })
    return true
  }
}
