/**
 * Counting on the hot path with plain numbers. prom-client validates and hashes the labels at each call, some 0.3 microseconds
 * for each of a dozen series a request touches; here a request finds its cell once and adds to it, and prom-client sees the sums
 * when somebody scrapes.
 */

/** A histogram's counts for one set of labels. */
export class Buckets {
  /** One per bound, and one for what lies above them all; not cumulative. */
  readonly counts: Float64Array
  sum = 0

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    if (!Number.isFinite(value)) return
    let index = 0
    while (index < this.bounds.length && value > (this.bounds[index] ?? 0)) index += 1
    this.counts[index] = (this.counts[index] ?? 0) + 1
    this.sum += value
  }
}

/** Counts by key. The one counted last is at hand, since most requests are like the one before. */
export class Counts<K> {
  private readonly slots = new Map<K, { amount: number }>()
  private last: { readonly key: K; readonly slot: { amount: number } } | null = null

  add(key: K): void {
    const { last } = this
    if (last !== null && last.key === key) last.slot.amount += 1
    else this.turn(key).amount += 1
  }

  *[Symbol.iterator](): Generator<readonly [key: K, amount: number]> {
    for (const [key, { amount }] of this.slots) yield [key, amount]
  }

  private turn(key: K): { amount: number } {
    const slot = demand(this.slots, key, () => ({ amount: 0 }))
    this.last = { key, slot }
    return slot
  }
}

/** The value at `key`, made when first asked for. */
export function demand<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

/** Where a provider and a model meet: one cell each, made when first asked for. */
export class Cells<Cell> {
  private readonly byProvider = new Map<string, Map<string, Cell>>()

  constructor(private readonly make: () => Cell) {}

  at(provider: string, model: string): Cell {
    return demand(
      demand(this.byProvider, provider, () => new Map()),
      model,
      this.make,
    )
  }

  *all(): Generator<{ readonly labels: ModelLabels; readonly cell: Cell }> {
    for (const [provider, byModel] of this.byProvider) {
      for (const [model, cell] of byModel) yield { labels: { provider, model }, cell }
    }
  }
}

export interface ModelLabels {
  readonly provider: string
  readonly model: string
}

/** One count for each set of labels that came up, in the order in which they did. For what is rare. */
export class Series<Label extends string> {
  private readonly byLabels = new Map<string, { readonly labels: Record<Label, string>; amount: number }>()

  add(labels: Record<Label, string>): void {
    demand(this.byLabels, JSON.stringify(labels), () => ({ labels, amount: 0 })).amount += 1
  }

  all(): Iterable<{ readonly labels: Record<Label, string>; readonly amount: number }> {
    return this.byLabels.values()
  }
}
