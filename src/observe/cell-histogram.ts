import { Histogram, type Registry } from "prom-client"
import type { Buckets } from "./tally.ts"

interface Value {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** A prom-client histogram whose values are read from cells at each scrape. */
export class CellHistogram<Label extends string> extends Histogram<Label> {
  constructor(
    private readonly about: { readonly name: string; readonly help: string; readonly labelNames: Label[] },
    private readonly read: () => Iterable<{
      readonly labels: Readonly<Record<Label, string>>
      readonly buckets: Buckets
    }>,
    registry: Registry,
  ) {
    super({ ...about, registers: [registry] })
  }

  /** What prom-client 15 asks a metric for, both for the text format and inside `get`; not in its typings, so a test watches it. */
  async getForPromString(): Promise<unknown> {
    const { name, help } = this.about
    const values: Value[] = []
    for (const { labels, buckets } of this.read()) {
      let total = 0
      for (const [index, amount] of buckets.counts.entries()) {
        total += amount
        const le = buckets.bounds[index] ?? "+Inf"
        values.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: total })
      }
      values.push({ metricName: `${name}_sum`, labels: { ...labels }, value: buckets.sum })
      values.push({ metricName: `${name}_count`, labels: { ...labels }, value: total })
    }
    return { name, help, type: "histogram", aggregator: "sum", values }
  }
}
