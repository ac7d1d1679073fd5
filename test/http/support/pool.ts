import type { AdminResult, CredentialView, Pool, PoolCounts, PoolEvent } from "../../../src/scheduler/ports.ts"
import type { SeedHint, SeedOutcome, SeedRecord, TokenSet } from "../../../src/store/types.ts"

/** A pool that stores what it is given in lists and does what the test tells it to. */
export class FakePool implements Pool {
  readonly hints: SeedHint[] = []
  readonly received: { readonly tokens: TokenSet; readonly account: string | null }[] = []
  readonly asked: string[] = []
  readonly listeners = new Set<(event: PoolEvent) => void>()
  credentials: CredentialView[] = []
  /** What `seeds` throws, as a database that cannot be written would make it. */
  broken: Error | null = null
  /** Outcome of a seed once somebody waits for it. */
  settle: (id: string) => SeedOutcome = (id) => ({ kind: "adopted", id, credential: 7, email: "jane@example.com" })
  /** Outcome of tokens from a login. */
  adopt: () => Promise<SeedOutcome> = async () => ({
    kind: "adopted",
    id: "login",
    credential: 7,
    email: "jane@example.com",
  })

  acquire(): never {
    throw new Error("the edge leases nothing")
  }
  report(): never {
    throw new Error("the edge reports nothing")
  }
  release(): never {
    throw new Error("the edge releases nothing")
  }
  seeds(hints: readonly SeedHint[]): readonly SeedOutcome[] {
    if (this.broken !== null) throw this.broken
    const from = this.hints.length
    this.hints.push(...hints)
    return hints.map((_, index) => ({ kind: "pending", id: `seed-${from + index}` }))
  }
  tokens(tokens: TokenSet, account: string | null): Promise<SeedOutcome> {
    this.received.push({ tokens, account })
    return this.adopt()
  }
  async outcome(id: string): Promise<SeedOutcome | null> {
    return this.settle(id)
  }
  list(): readonly CredentialView[] {
    return this.credentials
  }
  seedRecords(): readonly SeedRecord[] {
    return this.hints.map((_, index) => ({ outcome: this.settle(`seed-${index}`), createdAt: 1, updatedAt: 2 }))
  }
  counts(): PoolCounts {
    return {
      ready: this.credentials.length,
      cooling: 0,
      refreshing: 0,
      expired: 0,
      parked: 0,
      disabled: 0,
      banned: 0,
      inFlight: 0,
      waiting: 0,
      pendingSeeds: 0,
    }
  }
  ready(): number {
    return this.credentials.length
  }
  explain(model: string, session: string | null) {
    this.asked.push(`explain ${model} ${session}`)
    return this.credentials.map(({ id, email }) => ({
      id,
      email,
      usable: true,
      why: "ready",
      until: null,
      sticky: false,
    }))
  }
  disable(id: number): AdminResult {
    return this.#verb("disable", id)
  }
  enable(id: number): AdminResult {
    return this.#verb("enable", id)
  }
  remove(id: number): AdminResult {
    return this.#verb("remove", id)
  }
  clear(id: number): AdminResult {
    return this.#verb("clear", id)
  }
  async refresh(id: number): Promise<AdminResult> {
    return id === 13 ? { kind: "failed", reason: "the token endpoint did not answer" } : this.#verb("refresh", id)
  }
  subscribe(listener: (event: PoolEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
  async close(): Promise<void> {}

  emit(event: PoolEvent): void {
    for (const listener of [...this.listeners]) listener(event)
  }

  #verb(name: string, id: number): AdminResult {
    this.asked.push(`${name} ${id}`)
    const credential = this.credentials.find((view) => view.id === id)
    return credential === undefined ? { kind: "not_found" } : { kind: "ok", credential }
  }
}

export function credential(id: number, email = "jane@example.com"): CredentialView {
  return {
    id,
    email,
    account: "project-1",
    plan: "standard",
    state: "ready",
    reason: null,
    detail: null,
    url: null,
    until: null,
    inFlight: 0,
    expiresAt: null,
    refreshDead: null,
    ambiguousRefresh: false,
    cooldowns: [],
    lacks: [],
    quotas: [],
    lastError: null,
    lastLeasedAt: null,
  }
}
