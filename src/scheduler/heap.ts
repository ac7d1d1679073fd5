/** Something that happens at a monotonic time; stands in at most one heap. */
export class Deadline {
  /** Monotonic milliseconds. Written by the heap only. */
  at = Number.POSITIVE_INFINITY
  /** Index in the heap, -1 when it stands in none. Written by the heap only. */
  place = -1

  get pending(): boolean {
    return this.place >= 0
  }
}

/**
 * Binary min-heap of deadlines that can be moved and removed: set, remove and pop are O(log n), next is O(1).
 * Every node knows its place, so a cooldown that is extended moves instead of leaving a stale ticket behind.
 */
export class DeadlineHeap<D extends Deadline> {
  readonly #nodes: D[] = []

  get size(): number {
    return this.#nodes.length
  }

  /** Time of the earliest deadline, or Infinity. */
  next(): number {
    const first = this.#nodes[0]
    return first === undefined ? Number.POSITIVE_INFINITY : first.at
  }

  /** Puts `node` at `at`, wherever it stood before. Infinity takes it out. */
  set(node: D, at: number): void {
    if (at === Number.POSITIVE_INFINITY || Number.isNaN(at)) {
      this.remove(node)
      return
    }
    const before = node.at
    node.at = at
    if (node.place < 0) {
      node.place = this.#nodes.length
      this.#nodes.push(node)
      this.#rise(node)
    } else if (at < before) this.#rise(node)
    else this.#sink(node)
  }

  /** Takes `node` out; nothing happens if it does not stand here. */
  remove(node: D): void {
    const place = node.place
    if (place < 0) return
    node.place = -1
    node.at = Number.POSITIVE_INFINITY
    const last = this.#nodes.pop()
    if (last === undefined || last === node) return
    last.place = place
    this.#nodes[place] = last
    this.#rise(last)
    this.#sink(last)
  }

  /** Takes out and returns the earliest node that is due at `now`, or undefined. */
  pop(now: number): D | undefined {
    const first = this.#nodes[0]
    if (first === undefined || first.at > now) return undefined
    this.remove(first)
    return first
  }

  #rise(node: D): void {
    const nodes = this.#nodes
    let place = node.place
    while (place > 0) {
      const up = (place - 1) >> 1
      const parent = nodes[up]
      if (parent === undefined || parent.at <= node.at) break
      nodes[place] = parent
      parent.place = place
      place = up
    }
    nodes[place] = node
    node.place = place
  }

  #sink(node: D): void {
    const nodes = this.#nodes
    const size = nodes.length
    let place = node.place
    for (;;) {
      let down = 2 * place + 1
      if (down >= size) break
      let child = nodes[down]
      const right = nodes[down + 1]
      if (child !== undefined && right !== undefined && right.at < child.at) {
        child = right
        down++
      }
      if (child === undefined || child.at >= node.at) break
      nodes[place] = child
      child.place = place
      place = down
    }
    nodes[place] = node
    node.place = place
  }
}
