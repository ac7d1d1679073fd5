import type {
  Cooldown,
  Identity,
  ModelMark,
  SeedHint,
  SeedOutcome,
  Standing,
  StateChange,
  TokenSet,
} from "../../src/store/types.ts"

interface Credential {
  id: number
  identity: Identity
  refreshToken: string
  accessToken: string
  standing: Standing
  refreshDead: string | null
  cooldowns: Map<string, Cooldown>
  marks: Map<string, ModelMark>
  intentAt: number | null
}

interface SeedState {
  id: string
  token: string
  account: string | null
  attempts: number
  intentAt: number | null
  tokens: TokenSet | null
  outcome: SeedOutcome
}

/** What a source is to do, in plain maps and without any thought of speed. */
export class Model {
  readonly credentials = new Map<number, Credential>()
  readonly seeds = new Map<string, SeedState>()
  readonly spent = new Map<string, number>()
  readonly sessions = new Map<string, { credential: number; usedAt: number }>()
  #lastCredential = 0
  #lastSeed = 0

  addSeeds(hints: readonly SeedHint[]): SeedOutcome[] {
    const seen = new Set<string>()
    return hints.flatMap(({ refreshToken, account }) => {
      if (seen.has(refreshToken)) return []
      seen.add(refreshToken)
      return [this.#addSeed(refreshToken, account)]
    })
  }

  #addSeed(token: string, account: string | null): SeedOutcome {
    const known = this.#owner(token)
    const seed: SeedState = this.seeds.get(token) ?? {
      id: `s${++this.#lastSeed}`,
      token,
      account: null,
      attempts: 0,
      intentAt: null,
      tokens: null,
      outcome: { kind: "pending", id: "" },
    }
    const fresh = !this.seeds.has(token)
    this.seeds.set(token, seed)
    if (known !== null) {
      seed.outcome = { kind: "known", id: seed.id, credential: known }
      seed.tokens = null
      seed.intentAt = null
    } else {
      if (!fresh && seed.outcome.kind !== "pending") seed.attempts = 0
      seed.account = account ?? seed.account
      seed.outcome = { kind: "pending", id: seed.id }
    }
    return seed.outcome
  }

  #owner(token: string): number | null {
    for (const credential of this.credentials.values()) {
      if (credential.refreshToken !== token) continue
      credential.standing = { kind: "active" }
      this.#forgive(credential)
      return credential.id
    }
    const spent = this.spent.get(token)
    if (spent !== undefined) return spent
    const before = this.seeds.get(token)?.outcome
    if (before?.kind !== "adopted" && before?.kind !== "known") return null
    return before.credential !== null && this.credentials.has(before.credential) ? before.credential : null
  }

  #pending(id: string): SeedState | null {
    return [...this.seeds.values()].find((seed) => seed.id === id && seed.outcome.kind === "pending") ?? null
  }

  intendSeed(id: string, now: number): void {
    const seed = this.#pending(id)
    if (seed === null) return
    seed.attempts++
    seed.intentAt = now
  }

  holdSeed(id: string, tokens: TokenSet): void {
    const seed = this.#pending(id)
    if (seed === null) return
    seed.tokens = tokens
    seed.intentAt = null
  }

  failSeed(id: string): void {
    const seed = this.#pending(id)
    if (seed === null) return
    seed.outcome = { kind: "failed", id, reason: "reason", detail: "detail", url: null }
    seed.intentAt = null
    if (seed.tokens?.refreshToken === seed.token) seed.tokens = null
  }

  adopt(seedId: string | null, tokens: TokenSet, who: Identity): number {
    let credential = [...this.credentials.values()].find(
      ({ identity }) => identity.sub === who.sub && identity.account === who.account,
    )
    const left: string[] = credential === undefined ? [] : [credential.refreshToken]
    credential ??= {
      id: ++this.#lastCredential,
      identity: who,
      refreshToken: "",
      accessToken: "",
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: new Map(),
      marks: new Map(),
      intentAt: null,
    }
    this.credentials.set(credential.id, credential)
    const { identity } = credential
    credential.identity = { ...identity, email: who.email ?? identity.email, plan: who.plan ?? identity.plan }
    credential.refreshToken = tokens.refreshToken
    credential.accessToken = tokens.accessToken
    credential.standing = { kind: "active" }
    credential.intentAt = null
    this.#forgive(credential)
    this.#spend(credential, left)
    const seed = [...this.seeds.values()].find(({ id }) => id === seedId)
    if (seed !== undefined) {
      this.#spend(credential, [seed.token, ...(seed.tokens === null ? [] : [seed.tokens.refreshToken])])
      seed.outcome = { kind: "adopted", id: seed.id, credential: credential.id, email: credential.identity.email }
      seed.tokens = null
      seed.intentAt = null
    }
    return credential.id
  }

  rotate(id: number, witness: string, tokens: TokenSet, plan: string | null): "stored" | "superseded" {
    const credential = this.credentials.get(id)
    if (credential === undefined || credential.refreshToken !== witness) return "superseded"
    credential.refreshToken = tokens.refreshToken
    credential.accessToken = tokens.accessToken
    credential.refreshDead = null
    credential.intentAt = null
    credential.identity = { ...credential.identity, plan: plan ?? credential.identity.plan }
    this.#spend(credential, [witness])
    return "stored"
  }

  #spend(credential: Credential, left: readonly string[]): void {
    this.spent.delete(credential.refreshToken)
    for (const token of left) if (token !== credential.refreshToken) this.spent.set(token, credential.id)
  }

  #forgive(credential: Credential): void {
    credential.cooldowns.clear()
    credential.marks.clear()
    credential.refreshDead = null
  }

  intend(id: number, now: number): void {
    const credential = this.credentials.get(id)
    if (credential !== undefined) credential.intentAt = now
  }

  note(id: number, change: StateChange): void {
    const credential = this.credentials.get(id)
    if (credential === undefined) return
    if (change.set === "standing") credential.standing = change.standing
    else if (change.set === "refresh_dead") credential.refreshDead = change.reason
    else if (change.set === "cooldown") credential.cooldowns.set(change.cooldown.scope, change.cooldown)
    else if (change.set === "cooldown_over") credential.cooldowns.delete(change.scope)
    else if (change.set === "mark") credential.marks.set(change.mark.model, change.mark)
    else if (change.set === "mark_over") credential.marks.delete(change.model)
    else if (change.set === "intent_over") credential.intentAt = null
    else if (change.set === "clear") {
      this.#forgive(credential)
      if (credential.standing.kind === "parked") credential.standing = { kind: "active" }
    }
  }

  bind(session: string, credential: number, usedAt: number): void {
    if (this.credentials.has(credential)) this.sessions.set(session, { credential, usedAt })
  }

  remove(id: number): void {
    if (!this.credentials.delete(id)) return
    for (const [token, owner] of this.spent) if (owner === id) this.spent.delete(token)
    for (const [session, { credential }] of this.sessions) if (credential === id) this.sessions.delete(session)
  }

  /** What opening forgets: marks that are over, and cooldowns whose strikes no longer count, a week after their end. */
  prune(now: number): void {
    const week = 7 * 24 * 3_600_000
    for (const { cooldowns, marks } of this.credentials.values()) {
      for (const [scope, { until }] of cooldowns) if (until < now - week) cooldowns.delete(scope)
      for (const [model, { until }] of marks) if (until < now) marks.delete(model)
    }
  }
}
