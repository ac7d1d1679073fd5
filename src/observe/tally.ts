import { Histogram, type Registry } from "prom-client"

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

  constructor(private readonly bounds: readonly number[]) {
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

type Name = "provider" | "model"

interface Value {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** A prom-client histogram whose values are read from cells at each scrape. */
export class CellHistogram extends Histogram<Name> {
  constructor(
    private readonly about: { readonly name: string; readonly help: string; readonly bounds: readonly number[] },
    private readonly read: () => Iterable<{ readonly labels: ModelLabels; readonly buckets: Buckets }>,
    registry: Registry,
  ) {
    super({ name: about.name, help: about.help, labelNames: ["provider", "model"], registers: [registry] })
  }

  /** What prom-client 15 asks a metric for, both for the text format and inside `get`; not in its typings, so a test watches it. */
  async getForPromString(): Promise<unknown> {
    const { name, help, bounds } = this.about
    const values: Value[] = []
    for (const { labels, buckets } of this.read()) {
      let total = 0
      for (const [index, amount] of buckets.counts.entries()) {
        total += amount
        values.push({ metricName: `${name}_bucket`, labels: { le: bounds[index] ?? "+Inf", ...labels }, value: total })
      }
      values.push({ metricName: `${name}_sum`, labels: { ...labels }, value: buckets.sum })
      values.push({ metricName: `${name}_count`, labels: { ...labels }, value: total })
    }
    return { name, help, type: "histogram", aggregator: "sum", values }
  }
}
