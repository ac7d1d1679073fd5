import { plainAddress } from "./address.ts"

/** What the edge uses of `Bun.serve`, beside the listening itself. */
export interface Socketed {
  requestIP(request: Request): { readonly address: string } | null
  timeout(request: Request, seconds: number): void
}

/**
 * Seconds in which a request's body must make progress until it is in our hands: the server closes silent and slow senders (less
 * than some 16 KB/s) after it, rounded up to its 4 s ticks. For the head it has a limit of its own, 12 s (checks B8; measured on
 * Bun 1.4.5).
 */
export const RECEIVE_SECONDS = 10

/** Seconds a connection may idle after an answer; long enough for keep-alive, short enough to shed peers that vanished. */
const REST_SECONDS = 60

/** Address of those that have none. */
export const UNKNOWN = "unknown"

/** The connection behind a request. In-process requests have none: unknown address, no timeouts. */
export class Wire {
  #server: Socketed | null = null

  attach(server: Socketed): void {
    this.#server = server
  }

  /** Address of the peer, normalised; `UNKNOWN` when the connection is gone or never was. */
  peer(request: Request): string {
    const address = this.#server?.requestIP(request)?.address
    if (address === undefined) return UNKNOWN
    // An IPv4 address comes from the system as it is to be shown.
    return address.includes(":") ? (plainAddress(address) ?? UNKNOWN) : address
  }

  /** From here on we decide how long the request may take. */
  lift(request: Request): void {
    this.#server?.timeout(request, 0)
  }

  /** The answer is given: the connection may rest for a while. */
  settle(request: Request): void {
    this.#server?.timeout(request, REST_SECONDS)
  }
}
