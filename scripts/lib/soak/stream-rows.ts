/** Rows of streams: thousands at once, readers that are slow, and the long mixed run. */
import { until } from "../../../test/support/wait.ts"
import { codexBytes, type Order, readOrder } from "./answers.ts"
import { check, inParallel, MIB, mib, quantile, type Report, type Row, type Scale } from "./report.ts"
import { Rig } from "./rig.ts"

/** Connections opened at the same time. */
const OPENING = 100

const orderOf = (order: Partial<Order>): Order => ({ ...readOrder(""), ...order })
const digest = (bytes: Uint8Array) => Bun.SHA1.hash(bytes, "hex")

/** Samples the memory until it is stopped. */
function sampler(rig: Rig, everyMs: number) {
  const samples: number[] = [rig.rss()]
  const timer = setInterval(() => samples.push(rig.rss()), everyMs)
  return {
    samples,
    most: () => Math.max(...samples),
    stop: () => clearInterval(timer),
  }
}

function descriptorLimit(): number {
  const said = Bun.spawnSync(["sh", "-c", "ulimit -n"]).stdout.toString().trim()
  return said === "unlimited" ? Number.POSITIVE_INFINITY : Number(said)
}

async function runL3(scale: Scale): Promise<Report> {
  const [streams, events, every] = scale.form === "full" ? [5_000, 12, 5_000] : [1_200, 3, 1_000]
  const limit = descriptorLimit()
  if (limit < 2 * streams + 500) {
    const what = `${2 * streams + 500} open files are allowed (ulimit -n)`
    return { checks: [check(what, false, limit)], goals: [] }
  }
  await using rig = await Rig.start({ codex: 20 })
  const memory = sampler(rig, 200)
  let different = 0
  let bytes = 0
  await inParallel(streams, streams, async (id) => {
    // Spread over a second or so, as clients come.
    await Bun.sleep(Math.floor(id / OPENING) * 60)
    const connection = await rig.connect()
    const order = { id, events, every }
    const seen = new Bun.SHA1()
    const exchange = await connection.send(rig.stream(order), {
      onBody: (piece) => {
        seen.update(piece)
        return undefined
      },
    })
    connection.close()
    bytes += exchange.bytes
    if (exchange.status !== 200 || !exchange.whole || seen.digest("hex") !== digest(codexBytes(orderOf(order))))
      different++
  })
  memory.stop()
  const { most } = await rig.state()
  return {
    checks: [
      check(
        "every stream has all its bytes, unchanged",
        different === 0,
        `${different} of ${streams} differ, ${bytes} bytes in all`,
      ),
      check("all are upstream at once (more than the runtime's 256)", most >= streams, most),
      check("memory stays below 250 MB", memory.most() < 250e6, mib(memory.most())),
    ],
    goals: [],
  }
}

async function runL7(scale: Scale): Promise<Report> {
  const [streams, size, seconds] = scale.form === "full" ? [20, 256 * MIB, 60] : [4, 64 * MIB, 4]
  await using rig = await Rig.start({ codex: 10 })
  const fill = 64 * 1024
  const before = rig.rss()
  const memory = sampler(rig, 50)
  const connections = await Promise.all(Array.from({ length: streams }, () => rig.connect()))
  let read = 0
  const ended = connections.map((connection, id) =>
    connection.send(rig.stream({ id, events: size / fill, fill }), {
      onBody: (piece) => {
        read += piece.length
        connection.pause()
        return undefined
      },
    }),
  )
  // A little now and then: a reader that is slow, not gone.
  for (let second = 0; second < seconds; second++) {
    await Bun.sleep(1_000)
    for (const connection of connections) connection.resume()
  }
  const { sent, open } = await rig.state()
  memory.stop()
  for (const connection of connections) connection.close()
  await Promise.all(ended)
  const gone = await until("the upstream is let go", async () => (await rig.state()).open === 0, 5_000).then(
    () => true,
    () => false,
  )
  const growth = (memory.most() - before) / streams
  return {
    checks: [
      check("nobody was cut off", open === streams, `${open} of ${streams} open`),
      check(
        "the upstream is held back",
        sent / streams < size / 2,
        `${mib(sent / streams)} of ${mib(size)} sent for each, ${mib(read / streams)} read`,
      ),
      check("memory grows by less than 32 MiB for each", growth < 32 * MIB, mib(growth)),
      check("readers that leave let the upstream go", gone, gone ? "at once" : "not within 5 s"),
    ],
    goals: [],
  }
}

/** Requests a second of the mixed run. */
const RATE = 120
/** What becomes of so many of a hundred requests; the rest is served in peace. */
const MIX = { aborted: 20, limited: 5, reset: 2 } as const

async function runL4(scale: Scale): Promise<Report> {
  const minutes = scale.form === "full" ? scale.minutes : 0.75
  await using rig = await Rig.start({ codex: 60, geminicli: 20 })
  const wrong = new Map<string, number>()
  const done = { served: 0, aborted: 0, limited: 0, reset: 0 }
  const miss = (what: string) => wrong.set(what, (wrong.get(what) ?? 0) + 1)

  const one = async (id: number): Promise<void> => {
    const lot = (id * 37) % 100
    const connection = await rig.connect()
    const stream = { id, events: 6, every: 10 }
    if (lot < MIX.aborted) {
      let pieces = 0
      const leave = () => (++pieces > id % 4 ? "leave" : undefined)
      await connection.send(rig.stream(stream), { onBody: leave })
      done.aborted++
    } else if (lot < MIX.aborted + MIX.limited) {
      const { status, whole } = await connection.send(rig.stream({ ...stream, fault: 1 }))
      if (status !== 200 || !whole) miss(`${status} after a 429 elsewhere`)
      done.limited++
    } else if (lot < MIX.aborted + MIX.limited + MIX.reset) {
      const amid = id % 2 === 0
      let text = ""
      const { status, whole } = await connection.send(rig.stream({ ...stream, fault: amid ? 3 : 2 }), {
        onBody: (piece) => {
          text += Buffer.from(piece).toString("latin1")
          return undefined
        },
      })
      // Before the answer another attempt serves; amid it the client is told so, in an event.
      if (status !== 200 || !whole) miss(`${status} after a reset ${amid ? "amid" : "before"} the stream`)
      else if (amid !== /event: (?:error|response\.failed)/.test(text))
        miss(`a reset ${amid ? "amid" : "before"} the stream was not told as it is`)
      done.reset++
    } else {
      const { status, whole } = await connection.send(id % 2 === 0 ? rig.unary({ id, late: 5 }) : rig.stream(stream))
      if (status !== 200 || !whole) miss(`${status} without a fault`)
      done.served++
    }
    connection.close()
  }

  /** Open loop: a request every so often, whatever became of the others. */
  const run = async (seconds: number, from: number): Promise<void> => {
    const began = performance.now()
    const all: Promise<void>[] = []
    for (let index = 0; index < seconds * RATE; index++) {
      const wait = began + (index * 1_000) / RATE - performance.now()
      if (wait > 1) await Bun.sleep(wait)
      all.push(one(from + index))
      if (all.length >= 5_000) await Promise.all(all.splice(0, 2_500))
    }
    await Promise.all(all)
  }
  const idle = async () => {
    const gauges = ["pollux_active_requests", "pollux_leases", "pollux_waiting_requests"]
    const values = await Promise.all(gauges.map((name) => rig.gauge(name)))
    const { open } = await rig.state()
    return { values, open, quiet: values.every((value) => value === 0) && open === 0 }
  }
  const settle = () => until("nothing is under way", async () => (await idle()).quiet, 10_000).catch(() => false)

  const seconds = Math.max(5, minutes * 60)
  const warmUp = Math.min(60, seconds / 3)
  await run(warmUp, 1)
  await settle()
  const socketsBefore = rig.sockets()
  const memory = sampler(rig, Math.max(100, seconds * 2))
  await run(seconds, 1 + warmUp * RATE)
  memory.stop()
  await settle()
  const { values, open } = await idle()
  const half = Math.floor(memory.samples.length / 2)
  const [early, late] = [memory.samples.slice(0, half), memory.samples.slice(half)].map((part) => quantile(part, 0.5))
  const growth = (late ?? 0) - (early ?? 0)
  const faults = [...wrong].map(([what, times]) => `${times} x ${what}`).join(", ")
  const counts = Object.entries(done)
    .map(([what, times]) => `${times} ${what}`)
    .join(", ")
  return {
    checks: [
      check("every request ends as it must", wrong.size === 0, faults === "" ? counts : faults),
      check(
        "memory stays flat after the warm-up",
        growth < 0.1 * (early ?? 0) + 16 * MIB,
        `${mib(early ?? 0)}, then ${mib(late ?? 0)}`,
      ),
      check(
        "no socket is left behind",
        rig.sockets() <= Math.max(socketsBefore, 64) + 16,
        `${socketsBefore} before, ${rig.sockets()} after`,
      ),
      check(
        "no slot is left behind",
        values.every((value) => value === 0),
        `active, leases, waiting: ${values.join(", ")}`,
      ),
      check("no upstream request is left behind", open === 0, open),
    ],
    goals: [],
  }
}

export const streamRows: readonly Row[] = [
  { id: "L3", title: "streams open at once", run: runL3 },
  { id: "L7", title: "slow readers of large answers", run: runL7 },
  { id: "L4", title: "mixed load: 20 % of clients leave, 5 % 429, 2 % resets", run: runL4 },
]
