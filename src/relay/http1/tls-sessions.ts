import type { Origin } from "./origin.ts"

/** Most origins of which a session is kept. They come from the configuration: a few for each provider. */
const MAX_ORIGINS = 64

/**
 * The newest TLS session of each origin, so that its next connection need not begin from nothing (RFC 8446 section 2.2): no
 * certificates are sent, looked through and checked once more. Those of connections only whose certificate was good.
 */
export class TlsSessions {
  private readonly newest = new Map<string, Buffer>()

  of({ key }: Origin): Buffer | null {
    return this.newest.get(key) ?? null
  }

  keep({ key }: Origin, session: Buffer): void {
    if (this.newest.size >= MAX_ORIGINS && !this.newest.has(key)) this.newest.clear()
    this.newest.set(key, session)
  }

  /** The next connection begins from nothing: whatever was wrong with the last one, it was not that. */
  forget({ key }: Origin): void {
    this.newest.delete(key)
  }
}
