/** Bytes that are put together before they are written. */
const PRESS_BYTES = 256 * 1024
/** What is larger, in bytes, is written as it is: to copy it would cost more than a write of its own. */
const DIRECT_BYTES = 128 * 1024

/** Whom bytes are written to. */
export interface Outlet {
  /** @param passing the bytes may be written over when this returns */
  push(bytes: Uint8Array, passing: boolean): void
}

/**
 * Puts together what is written to one connection in a row (a head and its body, a chunk and its length, the last of many), so that
 * it goes out in one system call: at the end of the microtask, or when another one's turn comes. One for all connections.
 */
export class Press {
  private readonly buffer = Buffer.allocUnsafeSlow(PRESS_BYTES)
  private length = 0
  private outlet: Outlet | null = null
  private armed = false

  /** @param text Latin-1 */
  text(outlet: Outlet, text: string): void {
    if (text.length > DIRECT_BYTES) {
      this.bytes(outlet, Buffer.from(text, "latin1"), false)
      return
    }
    this.begin(outlet, text.length)
    this.length += this.buffer.write(text, this.length, "latin1")
  }

  /** @param length of the text, in bytes of UTF-8 */
  utf8(outlet: Outlet, text: string, length: number): void {
    if (length > DIRECT_BYTES) {
      this.bytes(outlet, Buffer.from(text), false)
      return
    }
    this.begin(outlet, length)
    this.length += this.buffer.write(text, this.length)
  }

  /** @param passing the bytes may be written over when this returns */
  bytes(outlet: Outlet, bytes: Uint8Array, passing: boolean): void {
    if (bytes.length > DIRECT_BYTES) {
      this.flush()
      outlet.push(bytes, passing)
      return
    }
    this.begin(outlet, bytes.length)
    this.buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** Writes what is there. */
  readonly flush = (): void => {
    const { outlet, length } = this
    this.armed = false
    this.outlet = null
    this.length = 0
    outlet?.push(this.buffer.subarray(0, length), true)
  }

  private begin(outlet: Outlet, more: number): void {
    if (this.outlet !== outlet || this.length + more > PRESS_BYTES) this.flush()
    this.outlet = outlet
    if (this.armed) return
    this.armed = true
    queueMicrotask(this.flush)
  }
}
