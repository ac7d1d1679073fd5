import { timingSafeEqual } from "node:crypto"
import type { Config } from "../config/types.ts"
import type { Clock } from "../observe/clock.ts"
import type { HeaderReader } from "../relay/ports.ts"
import type { Principal } from "./ports.ts"

/** A principal and what the edge must know of its key beside that. */
export interface KeyHolder {
  readonly principal: Principal
  /** False for `[[keys]]` entries: they serve API calls only. */
  readonly operator: boolean
  readonly requestsPerMinute: number | null
}

/** Where a key was presented. `query` matters: such a key may have been put there by another site. */
export interface PresentedKey {
  readonly key: string
  readonly from: "header" | "query"
}

/**
 * The key of a request: `x-goog-api-key`, `Authorization: Bearer`, `?key=`. The first one present decides, also when it is empty
 * or wrong; another authorization scheme is not a key.
 */
export function presentedKey(headers: HeaderReader, query: string): PresentedKey | null {
  const own = headers.get("x-goog-api-key")
  if (own !== null) return { key: own, from: "header" }
  const authorization = headers.get("authorization")
  if (authorization !== null) {
    // As nearly everybody writes it.
    if (authorization.startsWith("Bearer ")) return { key: authorization.slice(7).trim(), from: "header" }
    const [scheme = "", ...rest] = authorization.split(" ")
    if (scheme.toLowerCase() === "bearer") return { key: rest.join(" ").trim(), from: "header" }
  }
  // Cheap test first: most requests carry no key in their query, and none of those pays for parsing it.
  if (!query.includes("key=")) return null
  const key = new URLSearchParams(query).get("key")
  return key === null ? null : { key, from: "query" }
}

interface Entry extends KeyHolder {
  readonly digest: Uint8Array
  readonly expiresAt: number | null
}

/** Every key that opens something, as SHA-256 digests: what a key looks like, its length included, costs no different time. */
export class Keyring {
  readonly #entries: readonly Entry[]

  constructor(config: Config) {
    const { polluxKey, adminKey } = config.basic
    this.#entries = [
      {
        digest: digest(polluxKey),
        principal: { name: "default", admin: adminKey === null, models: null },
        operator: true,
        requestsPerMinute: null,
        expiresAt: null,
      },
      ...(adminKey === null
        ? []
        : [
            {
              digest: digest(adminKey),
              principal: { name: "admin", admin: true, models: null },
              operator: true,
              requestsPerMinute: null,
              expiresAt: null,
            },
          ]),
      ...config.keys.map((key) => ({
        digest: Uint8Array.fromHex(key.sha256),
        principal: { name: key.name, admin: false, models: key.models },
        operator: false,
        requestsPerMinute: key.requestsPerMinute,
        expiresAt: key.expiresAt,
      })),
    ]
  }

  /**
   * Who the key belongs to, or null. Every entry is compared whatever the outcome.
   * @param clock an expired key is as good as a wrong one; asked only where a key has an end
   */
  holder(key: string, clock: Pick<Clock, "wall">): KeyHolder | null {
    const given = digest(key)
    let found: Entry | null = null
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.digest, given)) found = entry
    }
    return found !== null && (found.expiresAt === null || clock.wall() < found.expiresAt) ? found : null
  }
}

function digest(key: string): Uint8Array {
  const out = new Uint8Array(32)
  Bun.SHA256.hash(key, out)
  return out
}
