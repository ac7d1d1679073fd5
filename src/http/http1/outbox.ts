import type { Outlet } from "./press.ts"

/** What is used of a socket here. */
export interface Writable {
  /** @returns how many bytes it has taken; negative when it takes none any more */
  write(bytes: Uint8Array): number
}

/** What goes to one client, and what his socket has not taken yet. */
export class Outbox implements Outlet {
  private unsent: Uint8Array[] = []
  private waiter: PromiseWithResolvers<number> | null = null
  private dropped = false

  constructor(private readonly socket: Writable) {}

  /** Whether something waits for the socket. */
  get behind(): boolean {
    return this.unsent.length > 0
  }

  push(bytes: Uint8Array, passing: boolean): void {
    if (this.dropped) return
    const taken = this.behind ? 0 : Math.max(0, this.socket.write(bytes))
    if (taken === bytes.length) return
    const rest = bytes.subarray(taken)
    // A Buffer's own `slice` would be a view.
    this.unsent.push(passing ? new Uint8Array(rest) : rest)
  }

  /** Comes when the socket has taken all, or when it never will. */
  drained(): Promise<number> {
    this.waiter ??= Promise.withResolvers()
    return this.waiter.promise
  }

  /** The socket takes more. */
  drain(): void {
    const { unsent } = this
    let sent = 0
    for (const bytes of unsent) {
      const taken = Math.max(0, this.socket.write(bytes))
      if (taken < bytes.length) {
        unsent[sent] = bytes.subarray(taken)
        break
      }
      sent++
    }
    unsent.splice(0, sent)
    if (!this.behind) this.release()
  }

  /** Nobody takes any more. */
  drop(): void {
    this.dropped = true
    this.unsent = []
    this.release()
  }

  private release(): void {
    const { waiter } = this
    this.waiter = null
    waiter?.resolve(0)
  }
}
