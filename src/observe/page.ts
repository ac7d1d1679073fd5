/** Bytes a page begins with, and returns to once all is taken. */
const SIZE = 64 * 1024
/** Up to this many bytes a loop copies faster than a native call. */
const SHORT = 32
const THOUSAND = 1000
const ZERO = 0x30

/** The numbers below 1000 in ASCII, four bytes each: how many digits it has, then the digits; and the same with leading zeros. */
const DIGITS = new Uint8Array(4 * THOUSAND)
const PADDED = new Uint8Array(4 * THOUSAND)
// By arithmetic: made of texts, they took a tenth of the program's start.
for (let number = 0; number < THOUSAND; number++) {
  const digits = number < 10 ? 1 : number < 100 ? 2 : 3
  DIGITS[4 * number] = digits
  PADDED[4 * number] = 3
  for (let place = 0, rest = number; place < 3; place++, rest = (rest / 10) | 0) {
    const digit = ZERO + (rest % 10)
    PADDED[4 * number + 3 - place] = digit
    if (place < digits) DIGITS[4 * number + digits - place] = digit
  }
}

/** Bytes (UTF-8) that wait to be written: put at the end, taken at the start, in memory that is used again. */
export class Page {
  bytes: Buffer = Buffer.alloc(SIZE)
  start = 0
  end = 0

  get length(): number {
    return this.end - this.start
  }

  text(text: string): void {
    // No UTF-16 unit becomes more than three bytes.
    this.reserve(3 * text.length)
    this.end += this.bytes.write(text, this.end)
  }

  /** `text` must be ASCII. */
  ascii(text: string): void {
    const { length } = text
    this.reserve(length)
    const { bytes, end } = this
    for (let index = 0; index < length; index++) bytes[end + index] = text.charCodeAt(index)
    this.end = end + length
  }

  piece(piece: Uint8Array): void {
    const { length } = piece
    this.reserve(length)
    const { bytes, end } = this
    if (length > SHORT) bytes.set(piece, end)
    else for (let index = 0; index < length; index++) bytes[end + index] = piece[index] ?? 0
    this.end = end + length
  }

  /** As JSON has it: what is not finite is null. */
  number(value: number): void {
    const whole = value | 0
    if (whole !== value || whole < 0 || whole >= THOUSAND * THOUSAND) {
      this.ascii(Number.isFinite(value) ? String(value) : "null")
    } else if (whole < THOUSAND) this.three(DIGITS, whole)
    else {
      const thousands = (whole / THOUSAND) | 0
      this.three(DIGITS, thousands)
      this.three(PADDED, whole - thousands * THOUSAND)
    }
  }

  /** A whole number from 0 to 999, with three digits. */
  padded(value: number): void {
    this.three(PADDED, value)
  }

  /** What waits, as text. */
  toString(): string {
    return this.bytes.toString("utf8", this.start, this.end)
  }

  /** Forgets what waits, and gives back what a long wait took. */
  clear(): void {
    this.start = 0
    this.end = 0
    if (this.bytes.length > SIZE) this.bytes = Buffer.alloc(SIZE)
  }

  private three(table: Uint8Array, value: number): void {
    this.reserve(3)
    const from = 4 * value
    const { bytes, end } = this
    bytes[end] = table[from + 1] ?? 0
    bytes[end + 1] = table[from + 2] ?? 0
    bytes[end + 2] = table[from + 3] ?? 0
    this.end = end + (table[from] ?? 0)
  }

  private reserve(more: number): void {
    if (this.end + more > this.bytes.length) this.move(more)
  }

  /** Makes room: by moving what waits to the front, or to where there is more. */
  private move(more: number): void {
    const { bytes, start, end, length } = this
    let size = bytes.length
    while (size < 2 * length + more) size *= 2
    this.bytes = size === bytes.length ? bytes : Buffer.alloc(size)
    this.bytes.set(bytes.subarray(start, end))
    this.start = 0
    this.end = length
  }
}
