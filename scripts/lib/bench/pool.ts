/** A database with credentials that need no refresh, as the benchmark's Pollux finds it. */
import { createLog } from "../../../src/observe/log.ts"
import { openStore } from "../../../src/store/open.ts"
import type { Api } from "./subjects.ts"

const DAY = 86_400_000

/** An unsigned JWT: nobody but the holder reads it. */
function token(claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
  return `${part({ alg: "none" })}.${part(claims)}.x`
}

/** Makes `data.db` at `path` with so many credentials for each of the providers. */
export function stockPool(path: string, credentials: number, providers: readonly Api[] = ["geminicli", "codex"]): void {
  const clock = { mono: () => performance.now(), wall: () => Date.now() }
  const log = createLog({ level: "error", format: "json" })
  const store = openStore({ path, clock, log, encryptionKey: null })
  const now = clock.wall()
  for (const provider of providers) {
    const source = store.source(provider)
    for (let i = 0; i < credentials; i++) {
      const who = { sub: `user-${i}`, account: `account-${i}`, email: null, plan: null }
      const accessToken = token({ sub: who.sub, exp: Math.round((now + 10 * DAY) / 1000) })
      const tokens = { accessToken, refreshToken: `refresh-${provider}-${i}`, expiresAt: now + 10 * DAY, idToken: null }
      source.adopt(null, tokens, who, now)
    }
  }
  store.close()
}
