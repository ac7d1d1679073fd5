/** 1 to 128 visible ASCII characters. */
const ACCEPTABLE = /^[\x21-\x7e]{1,128}$/

/** Random bytes of an id, which are 16 characters. */
const BYTES = 12
const CHARACTERS = 16
/** Ids made at once: asking for chance costs as much for one as for all of them. */
const AT_ONCE = 64

/** An id that nobody can guess: 96 bits of chance. */
export function randomId(): string {
  return chance(1)
}

/** Names for requests. */
export class RequestIds {
  private ids = ""
  private used = 0

  /** The caller's own `x-request-id` where it can be put into a log line and a header, else a random one. */
  of(given: string | null): string {
    if (given !== null && ACCEPTABLE.test(given)) return given
    if (this.used === this.ids.length) {
      this.ids = chance(AT_ONCE)
      this.used = 0
    }
    this.used += CHARACTERS
    return this.ids.slice(this.used - CHARACTERS, this.used)
  }
}

function chance(ids: number): string {
  return crypto.getRandomValues(new Uint8Array(ids * BYTES)).toBase64({ alphabet: "base64url" })
}
