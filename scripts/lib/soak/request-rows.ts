/** Rows of whole requests: rates, fairness, large bodies, the store under load, the start. */
import { Database } from "bun:sqlite"
import { join } from "node:path"
import { cli } from "../../../test/support/cli.ts"
import { Connection, type Exchange } from "./connection.ts"
import { check, inParallel, MIB, mib, quantile, type Report, type Row, type Scale } from "./report.ts"
import { MODELS, Rig } from "./rig.ts"

const CREDENTIALS = 20

/** Connections for keeps, opened as they are needed. */
function pool(open: () => Promise<Connection>) {
  const idle: Connection[] = []
  return {
    async send(bytes: string): Promise<Exchange> {
      const connection = idle.pop() ?? (await open())
      const exchange = await connection.send(bytes)
      if (!connection.closed) idle.push(connection)
      return exchange
    },
    close() {
      for (const connection of idle) connection.close()
    },
  }
}

/** Sends at a constant rate, whatever the answers do (open loop); latency counts from when a request was due. */
async function constant(rate: number, seconds: number, send: (index: number) => Promise<Exchange>) {
  const latencies: number[] = []
  const sent: Promise<void>[] = []
  let failed = 0
  const began = performance.now()
  for (let index = 0; index < rate * seconds; index++) {
    const due = began + (index * 1_000) / rate
    const wait = due - performance.now()
    if (wait > 1) await Bun.sleep(wait)
    sent.push(
      send(index).then(({ status, whole }) => {
        if (status !== 200 || !whole) failed++
        latencies.push(performance.now() - due)
      }),
    )
  }
  await Promise.all(sent)
  return { latencies, failed }
}

async function runL1(scale: Scale): Promise<Report> {
  await using rig = await Rig.start({ geminicli: CREDENTIALS })
  const [rate, seconds] = scale.form === "full" ? [1_000, 60] : [200, 3]
  const late = 60
  const through = pool(() => rig.connect())
  const direct = pool(() => Connection.open(Number(new URL(rig.upstreamUrl).port)))
  const bare = (index: number) =>
    rig.unary({ id: index, late }).replace(/^POST \S+/, "POST /v1internal:generateContent")
  await constant(rate, 1, (index) => through.send(rig.unary({ id: index, late })))
  const ceiling = await constant(rate, Math.min(seconds, 10), (index) => direct.send(bare(index)))
  const { latencies, failed } = await constant(rate, seconds, (index) => through.send(rig.unary({ id: index, late })))
  through.close()
  direct.close()
  const added = quantile(latencies, 0.99) - quantile(ceiling.latencies, 0.99)
  return {
    checks: [
      check("no request fails", failed === 0, failed),
      check("every request is answered", latencies.length === rate * seconds, `${latencies.length} at ${rate}/s`),
    ],
    goals: [check("p99 is at most 2 ms above that without Pollux", added <= 2, `${added.toFixed(2)} ms`)],
  }
}

async function runL2(scale: Scale): Promise<Report> {
  await using rig = await Rig.start({ geminicli: CREDENTIALS })
  const count = scale.form === "full" ? 200_000 : 3_000
  const connections = await Promise.all(Array.from({ length: 32 }, () => rig.connect()))
  let failed = 0
  const began = performance.now()
  await inParallel(count, 32, async (index, worker) => {
    const exchange = await connections[worker]?.send(rig.unary({ id: index }))
    if (exchange?.status !== 200 || !exchange.whole) failed++
  })
  const rate = count / ((performance.now() - began) / 1_000)
  for (const connection of connections) connection.close()
  return {
    checks: [check("no request fails", failed === 0, failed)],
    goals: [
      check(
        "at least 10,000 requests a second",
        rate >= 10_000,
        `${Math.round(rate)}/s, the client and the upstream on the same cores`,
      ),
    ],
  }
}

async function runL5(scale: Scale): Promise<Report> {
  const credentials = 1_000
  const rounds = scale.form === "full" ? 12 : 1
  await using rig = await Rig.start({ geminicli: credentials })
  const models = MODELS
  const count = credentials * rounds * models.length
  const through = pool(() => rig.connect())
  let failed = 0
  await inParallel(count, 16, async (index) => {
    const { status } = await through.send(rig.unary({ id: index }, "", models[index % models.length]))
    if (status !== 200) failed++
  })
  through.close()
  const { picks } = await rig.state()
  let misplaced = 0
  for (const model of models) {
    for (let index = 0; index < credentials; index++) {
      misplaced += Math.abs((picks[`${index} ${model}`] ?? 0) - rounds)
    }
  }
  // Each pick that one has too many is one that another lacks.
  const share = misplaced / 2 / count
  return {
    checks: [
      check("no request fails", failed === 0, failed),
      check("picks are fair within 2 %", share <= 0.02, `${(share * 100).toFixed(2)} % of ${count} misplaced`),
    ],
    goals: [],
  }
}

/** How long memory may take to come back after a burst, in seconds. */
const COLLECTED_WITHIN_S = 20

async function runL6(scale: Scale): Promise<Report> {
  await using rig = await Rig.start({ geminicli: CREDENTIALS })
  const [atOnce, rounds] = scale.form === "full" ? [50, 6] : [8, 3]
  const body = rig.unary({ id: 1 }, "x".repeat(10 * MIB))
  const through = pool(() => rig.connect())
  let failed = 0
  const after: number[] = []
  for (let round = 0; round < rounds; round++) {
    await inParallel(atOnce, atOnce, async () => {
      const { status } = await through.send(body)
      if (status !== 200) failed++
    })
    await Bun.sleep(scale.form === "full" ? 5_000 : 1_000)
    after.push(rig.rss())
  }
  through.close()
  const before = Math.max(...after.slice(0, -1))
  // The collector runs when it sees fit: what counts is that it gives back what the last round took.
  let last = after.at(-1) ?? 0
  for (let second = 0; second < COLLECTED_WITHIN_S && last > before * 1.2; second++) {
    await Bun.sleep(1_000)
    last = rig.rss()
  }
  return {
    checks: [
      check("no request fails", failed === 0, failed),
      check(
        "memory is back within 1.2 times what earlier rounds left",
        last <= before * 1.2,
        [...after, last].map(mib).join(", "),
      ),
    ],
    goals: [],
  }
}

async function runL9(scale: Scale): Promise<Report> {
  await using rig = await Rig.start({ geminicli: CREDENTIALS })
  const [rate, seconds] = scale.form === "full" ? [500, 60] : [200, 4]
  const through = pool(() => rig.connect())
  const reader = new Database(join(rig.pollux.cwd, "data.db"), { readonly: true })
  let reads = 0
  let badReads = 0
  let done = false
  const reading = (async () => {
    while (!done) {
      try {
        reader.query("SELECT count(*) FROM gemini_cli").get()
        reads++
      } catch {
        badReads++
      }
      if (reads % 20 === 1) {
        const { code } = await cli(rig.pollux, ["status", "--json"])
        if (code !== 0) badReads++
      }
      await Bun.sleep(5)
    }
  })()
  const { failed } = await constant(rate, seconds, (index) => through.send(rig.unary({ id: index })))
  done = true
  await reading
  through.close()
  reader.close()
  const rows: unknown = Object(await (await rig.pollux.api("/usage?by=model")).json()).rows
  const counted = Array.isArray(rows) ? rows.reduce((sum, row) => sum + Number(Object(row).requests ?? 0), 0) : 0
  const log = [...rig.pollux.stdout, ...rig.pollux.stderr].join("\n")
  return {
    checks: [
      check("no request fails", failed === 0, failed),
      check("no reader is turned away", badReads === 0, `${badReads} of ${reads}`),
      check("nobody hears of a busy database", !/SQLITE_BUSY|database is locked/.test(log), log.length),
      check("every request is in the usage", counted === rate * seconds, counted),
    ],
    goals: [],
  }
}

async function runL10(scale: Scale): Promise<Report> {
  await using rig = await Rig.start({ geminicli: 1_000 })
  const times: number[] = []
  let failed = 0
  for (let round = 0; round < (scale.form === "full" ? 10 : 2); round++) {
    await rig.pollux.stop()
    const began = performance.now()
    await rig.pollux.restart()
    const connection = await rig.connect()
    const { status } = await connection.send(rig.unary({ id: round }))
    times.push(performance.now() - began)
    connection.close()
    if (status !== 200) failed++
  }
  const median = quantile(times, 0.5)
  return {
    checks: [check("the first request after a start with 1,000 credentials is served", failed === 0, failed)],
    goals: [
      check(
        "start to first 200 takes less than 300 ms",
        median < 300,
        `${Math.round(median)} ms (the test's own polling included)`,
      ),
    ],
  }
}

export const requestRows: readonly Row[] = [
  { id: "L1", title: "constant rate, unary, upstream takes 60 ms", run: runL1 },
  { id: "L2", title: "as many requests as 32 connections make", run: runL2 },
  { id: "L5", title: "1,000 credentials, 5 models", run: runL5 },
  { id: "L6", title: "10 MiB bodies in parallel", run: runL6 },
  { id: "L9", title: "the database under load, with readers beside", run: runL9 },
  { id: "L10", title: "start to first 200 with 1,000 credentials", run: runL10 },
]
