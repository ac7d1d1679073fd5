/** No slot. */
export const NONE = -1

/**
 * A FIFO ring of slots: a circular doubly linked list in two Int32Arrays. A slot stands in it at most once; every
 * operation is O(1), whatever the size, and allocates nothing but when the highest slot grows.
 */
export class Ring {
  #next: Int32Array
  #prev: Int32Array
  #head = NONE
  #size = 0

  constructor(
    readonly name: string,
    capacity = 16,
  ) {
    this.#next = new Int32Array(capacity).fill(NONE)
    this.#prev = new Int32Array(capacity).fill(NONE)
  }

  get size(): number {
    return this.#size
  }

  /** The slot whose turn it is, or NONE. */
  get head(): number {
    return this.#head
  }

  has(slot: number): boolean {
    const next = this.#next[slot]
    return next !== undefined && next !== NONE
  }

  /** The slot after `slot`, which must stand in the ring; the head follows the tail. */
  after(slot: number): number {
    return this.#next[slot] ?? NONE
  }

  /** Puts `slot` at the tail; one that stands in the ring already keeps its place. */
  push(slot: number): void {
    if (this.has(slot)) return
    if (slot >= this.#next.length) this.#grow(slot + 1)
    this.#link(slot)
    this.#size++
  }

  remove(slot: number): void {
    if (!this.has(slot)) return
    this.#unlink(slot)
    this.#next[slot] = NONE
    this.#prev[slot] = NONE
    this.#size--
  }

  /** Its turn is over: `slot`, which must stand in the ring, goes to the tail. */
  rotate(slot: number): void {
    if (slot === this.#head) {
      this.#head = this.after(slot)
      return
    }
    this.#unlink(slot)
    this.#link(slot)
  }

  #link(slot: number): void {
    const head = this.#head
    if (head === NONE) {
      this.#head = slot
      this.#next[slot] = slot
      this.#prev[slot] = slot
      return
    }
    const tail = this.#prev[head] ?? head
    this.#next[tail] = slot
    this.#prev[slot] = tail
    this.#next[slot] = head
    this.#prev[head] = slot
  }

  #unlink(slot: number): void {
    const next = this.after(slot)
    if (next === slot) {
      this.#head = NONE
      return
    }
    const prev = this.#prev[slot] ?? NONE
    this.#next[prev] = next
    this.#prev[next] = prev
    if (this.#head === slot) this.#head = next
  }

  #grow(least: number): void {
    const capacity = Math.max(least, 2 * this.#next.length)
    const next = new Int32Array(capacity).fill(NONE)
    const prev = new Int32Array(capacity).fill(NONE)
    next.set(this.#next)
    prev.set(this.#prev)
    this.#next = next
    this.#prev = prev
  }
}
