/** Requests waiting for an answer's head beyond which the next shard is used; Bun keeps 64 idle connections per TLS setting. */
const PER_SHARD = 48
const MAX_SHARDS = 16

export interface Shard {
  readonly fetch: Bun.FetchSession["fetch"]
  /** Requests sent whose answer's head has not come. */
  waiting: number
}

/**
 * HTTP/1.1 connections over TLS, beyond the bound of Bun's pool: it keeps 64 idle connections per distinct TLS setting, and with
 * more requests at once than that most of them pay a handshake (platform.md 4.2: 3.5 times the CPU, seconds at the tail). So
 * requests spread over sessions whose settings differ in a number that means nothing: each has 64 of its own. Few requests stay
 * on the first, so that its connections stay warm.
 */
export class TlsShards {
  private readonly shards: Shard[] = []

  /** The first shard with room, else the least busy one. The caller counts `waiting`. */
  pick(): Shard {
    let least: Shard | null = null
    for (const shard of this.shards) {
      if (shard.waiting < PER_SHARD) return shard
      if (least === null || shard.waiting < least.waiting) least = shard
    }
    return least !== null && this.shards.length >= MAX_SHARDS ? least : this.grow()
  }

  private grow(): Shard {
    // Low bits of the option word have no meaning to BoringSSL; 0 is the default setting.
    const secureOptions = this.shards.length
    const session = new Bun.FetchSession(secureOptions === 0 ? {} : { tls: { secureOptions } })
    const shard: Shard = { fetch: session.fetch, waiting: 0 }
    this.shards.push(shard)
    return shard
  }
}
