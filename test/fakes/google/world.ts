/** The fake's memory: accounts, tokens, login codes, scripted faults, recorded requests. */
import type { AccountOptions, Endpoint, FakeAccount, FakeGoogleOptions, Fault, Recorded, Rotation } from "./types.ts"

interface Code {
  readonly account: FakeAccount
  readonly redirectUri: string
  readonly challenge: string | null
  readonly consented: boolean
}

export class World {
  readonly accounts: FakeAccount[] = []
  readonly requests: Recorded[] = []
  readonly readings: Recorded[] = []
  readonly codes = new Map<string, Code>()
  readonly signatures = new Map<string, FakeAccount>()
  /** Prompt prefixes an account has sent, for cached token counts. */
  readonly prefixes = new Set<string>()
  readonly operations = new Map<string, { account: FakeAccount; left: number; project: string | null }>()
  readonly #access = new Map<string, { account: FakeAccount; expiresAt: number }>()
  readonly #refresh = new Map<string, FakeAccount>()
  #faults: { fault: Fault; left: number }[] = []
  #counter = 0
  browser: FakeAccount | { readonly error: string; readonly description?: string } | null = null
  answered = 0

  constructor(readonly options: FakeGoogleOptions) {}

  unique(prefix: string): string {
    this.#counter++
    return `${prefix}${this.#counter}-${crypto.randomUUID().slice(0, 8)}`
  }

  add(options: AccountOptions): FakeAccount {
    const number = this.accounts.length + 1
    const account: FakeAccount = {
      sub: options.sub ?? `1000000000000000${String(number).padStart(5, "0")}`,
      email: options.email ?? `user${number}@example.test`,
      project: options.project === undefined ? `companion-${number}` : options.project,
      userProjects: options.userProjects ?? [],
      tier: options.tier ?? "standard-tier",
      ineligible: options.ineligible ?? [],
      models: options.models ?? null,
      rotation: options.rotation ?? this.options.rotation ?? "none",
      idToken: options.idToken ?? true,
      onboarded: options.onboarded ?? true,
      pendingPolls: options.pendingPolls ?? 0,
      namelessPolls: options.namelessPolls ?? 0,
      refreshToken: options.refreshToken ?? this.unique("1//fake-refresh-"),
      accessToken: null,
      revoked: false,
      refreshes: 0,
      served: new Map(),
      quota: new Map(),
    }
    this.accounts.push(account)
    this.#refresh.set(account.refreshToken, account)
    return account
  }

  issue(account: FakeAccount): string {
    const token = this.unique("ya29.fake-access-")
    const lifetime = (this.options.expiresIn ?? 3599) * 1000
    this.#access.set(token, { account, expiresAt: Date.now() + lifetime })
    account.accessToken = token
    return token
  }

  /** The new refresh token, or null when the answer carries none. */
  rotate(account: FakeAccount, rotation: Rotation = account.rotation): string | null {
    if (rotation === "none") return null
    const next = this.unique("1//fake-refresh-")
    if (rotation === "kill-old") this.#refresh.delete(account.refreshToken)
    this.#refresh.set(next, account)
    account.refreshToken = next
    return next
  }

  byAccess(token: string): FakeAccount | null {
    const entry = this.#access.get(token)
    return entry === undefined || entry.expiresAt <= Date.now() ? null : entry.account
  }

  byRefresh(token: string): FakeAccount | null {
    const account = this.#refresh.get(token)
    return account === undefined || account.revoked ? null : account
  }

  expire(account: FakeAccount): void {
    for (const [token, entry] of this.#access) if (entry.account === account) this.#access.delete(token)
  }

  script(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 })
  }

  clearFaults(): void {
    this.#faults = []
  }

  /** Takes the first scripted fault that fits; it counts as used. */
  fault(endpoint: Endpoint, account: FakeAccount | null, model: string | null): Fault | null {
    const entry = this.#faults.find(
      ({ fault }) =>
        ((fault.on === "any" && endpoint !== "retrieveUserQuota") ||
          fault.on === endpoint ||
          (fault.on === "generate" && (endpoint === "generateContent" || endpoint === "streamGenerateContent"))) &&
        (fault.account === undefined || fault.account === account) &&
        (fault.model === undefined || fault.model === model),
    )
    if (entry === undefined) return null
    entry.left--
    if (entry.left <= 0) this.#faults = this.#faults.filter((other) => other !== entry)
    return entry.fault
  }
}
