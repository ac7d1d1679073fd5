/** What a scrape sees of what is counted. Loaded by the first one. */
import { Counter, Gauge, Registry } from "prom-client"
import { CellHistogram } from "./cell-histogram.ts"
import { type Cell, type Counted, STATES, type Watched } from "./counted.ts"
import { exposeProcess } from "./process-metrics.ts"
import type { Buckets, Series } from "./tally.ts"

/** A registry whose values are read at each scrape, in the order in which they are shown. */
export function createRegistry(counted: Counted): Registry {
  const registry = new Registry()
  const registers = [registry]

  new Counter({
    name: "pollux_requests_total",
    help: "Finished requests by provider, model, status sent to the client, and name of the key.",
    labelNames: ["provider", "model", "status", "principal"],
    registers,
    collect() {
      this.reset()
      for (const { labels, cell } of counted.cells.all()) {
        for (const [principal, statuses] of cell.requests) {
          for (const [status, amount] of statuses) this.inc({ ...labels, status, principal }, amount)
        }
      }
    },
  })
  const words = (
    name: string,
    help: string,
    label: string,
    read: (cell: Cell) => Iterable<readonly [word: string, amount: number]>,
  ) =>
    new Counter({
      name,
      help,
      labelNames: ["provider", "model", label],
      registers,
      collect() {
        this.reset()
        for (const { labels, cell } of counted.cells.all()) {
          for (const [word, amount] of read(cell)) this.inc({ ...labels, [label]: word }, amount)
        }
      },
    })
  words(
    "pollux_request_ends_total",
    "Finished requests by how they ended: complete, client_gone, cut, idle, refused.",
    "end",
    (cell) => cell.ends,
  )
  words(
    "pollux_attempts_total",
    "Attempts upstream by cause: ok, or why the attempt failed.",
    "cause",
    (cell) => cell.attempts,
  )
  words(
    "pollux_tokens_total",
    "Tokens counted by the upstream; cached is part of input, reasoning of output.",
    "kind",
    (cell) => Object.entries(cell.tokens),
  )

  const histogram = (name: string, help: string, read: (cell: Cell) => Buckets) =>
    new CellHistogram(
      { name, help, labelNames: ["provider", "model"] },
      function* () {
        for (const { labels, cell } of counted.cells.all()) yield { labels, buckets: read(cell) }
      },
      registry,
    )
  histogram(
    "pollux_request_duration_seconds",
    "From a request's arrival to the end of its answer.",
    (cell) => cell.duration,
  )
  histogram(
    "pollux_first_byte_seconds",
    "From sending the last attempt to the first byte of its answer.",
    (cell) => cell.firstByte,
  )
  histogram(
    "pollux_overhead_seconds",
    "Time added by Pollux itself: up to the answer, without waiting for the upstream or for a credential.",
    (cell) => cell.overhead,
  )
  histogram(
    "pollux_acquire_seconds",
    "Time a request waited for credentials, all attempts together.",
    (cell) => cell.acquire,
  )

  const series = <Label extends string>(name: string, help: string, labelNames: Label[], read: Series<Label>) =>
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const { labels, amount } of read.all()) this.inc(labels, amount)
      },
    })
  series("pollux_refreshes_total", "Token refreshes by outcome.", ["provider", "outcome"], counted.refreshes)
  series(
    "pollux_seeds_total",
    "Refresh tokens and logins handed in, by outcome.",
    ["provider", "outcome"],
    counted.seeds,
  )
  series(
    "pollux_rejected_requests_total",
    "Requests turned away before any provider saw them, by reason.",
    ["reason"],
    counted.rejections,
  )
  new Gauge({
    name: "pollux_build_info",
    help: "Always 1; the labels name what runs.",
    labelNames: ["version"],
    registers,
  }).set({ version: counted.version }, 1)
  new Gauge({
    name: "pollux_ready",
    help: "1 when the process can serve, 0 when it cannot; /readyz tells why.",
    registers,
    collect() {
      this.set(counted.ready() ? 1 : 0)
    },
  })

  new Gauge({
    name: "pollux_credentials",
    help: "Credentials by state.",
    labelNames: ["provider", "state"],
    registers,
    collect() {
      for (const { provider, pool } of counted.watched) {
        const counts = pool.counts()
        for (const state of STATES) this.set({ provider, state }, counts[state])
      }
    },
  })
  new Gauge({
    name: "pollux_credentials_ready",
    help: "Credentials that can serve a model now.",
    labelNames: ["provider", "model"],
    registers,
    collect() {
      this.reset()
      for (const { provider, pool } of counted.watched) {
        for (const model of counted.models(provider)) this.set({ provider, model }, pool.ready(model))
      }
    },
  })

  const gauge = (name: string, help: string, read: (one: Watched) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["provider"],
      registers,
      collect() {
        for (const one of counted.watched) this.set({ provider: one.provider }, read(one))
      },
    })
  gauge("pollux_leases", "Attempts that hold a credential now.", (one) => one.pool.counts().inFlight)
  gauge("pollux_waiting_requests", "Requests waiting for a credential now.", (one) => one.pool.counts().waiting)
  gauge(
    "pollux_pending_seeds",
    "Refresh tokens handed in and not yet decided.",
    (one) => one.pool.counts().pendingSeeds,
  )
  gauge("pollux_active_requests", "Requests not yet answered in full.", (one) => one.relay.active)

  exposeProcess(registry, counted)
  return registry
}
