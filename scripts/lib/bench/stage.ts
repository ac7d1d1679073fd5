/** Everything a run stands on: the fake upstream with TLS in front of it, the tools, and the subjects that come and go. */
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Calm } from "./calm.ts"
import { compared, REFERENCES } from "./compare.ts"
import { measure, type Sample } from "./loads.ts"
import { type Pins, pinsFor } from "./machine.ts"
import { nginxConfig, selfSigned } from "./nginx.ts"
import { type Load, PACE } from "./plan.ts"
import { freePort, Pinned, run, untilListening } from "./processes.ts"
import type { Cell, Figure, PartsRow, SchedulerRow, Start } from "./results.ts"
import { measureStart } from "./start.ts"
import { shuffled, spread } from "./stats.ts"
import { type Place, type Subject, startSubject } from "./subjects.ts"
import { warmUp } from "./warm-up.ts"

export interface StageOptions {
  readonly root: string
  readonly folder: string
  readonly executable: string
  readonly calm: Calm
  readonly say: (line: string) => void
}

/** Seconds of load on each subject before a quick look. */
const QUICK_SECONDS = 0.3
/** Processes that measure the scheduler for each size: one that a neighbour met as a whole must not count. */
const SCHEDULER_RUNS = 3
/** Microseconds between events until they count: at the measured pace the compiler would be at work for half a minute. */
const WARM_UP_PACE = 200

export class Stage implements AsyncDisposable {
  private constructor(
    private readonly options: StageOptions,
    private readonly pins: Pins,
    private readonly place: Place,
    private readonly loadProgram: string,
    private readonly held: readonly Pinned[],
  ) {}

  static async open(options: StageOptions): Promise<Stage> {
    const { root, folder, executable } = options
    const pins = pinsFor(navigator.hardwareConcurrency)
    const source = join(root, "scripts/lib/bench")
    for (const program of ["upstream", "load"]) {
      await run(["cc", "-O2", "-o", join(folder, program), join(source, `${program}.c`)], null)
    }
    await run(selfSigned(folder), null)
    const [port, secure] = [await freePort(), await freePort()]
    const start = (command: readonly string[], name: string): Pinned =>
      Pinned.start(command, { cpus: pins.rest, cwd: folder, env: {}, log: join(folder, `${name}.log`) })
    const upstream = start([join(folder, "upstream"), String(port)], "upstream")
    await untilListening(port, "the fake upstream", upstream)
    const front = join(folder, "front")
    mkdirSync(front)
    const tls = { certificate: join(folder, "tls.crt"), key: join(folder, "tls.key") }
    const plain = { url: `http://127.0.0.1:${port}`, port }
    writeFileSync(join(front, "nginx.conf"), nginxConfig({ folder: front, port: secure, upstream: plain.url, tls }))
    const nginx = start(["nginx", "-p", front, "-c", join(front, "nginx.conf")], "nginx")
    await untilListening(secure, "nginx in front of the fake upstream", nginx)
    const place: Place = {
      root,
      folder,
      executable,
      cpus: pins.subject,
      plain,
      tls: { url: `https://localhost:${secure}`, certificate: tls.certificate },
    }
    return new Stage(options, pins, place, join(folder, "load"), [nginx, upstream])
  }

  /** Runs the loads of each group of cells with the same subjects together, interleaved, in random order. */
  async loads(loads: readonly Load[], raw: string): Promise<readonly Cell[]> {
    const cells: Cell[] = []
    for (const group of Map.groupBy(loads, (load) => `${load.transport} ${load.subjects.join(" ")}`).values()) {
      cells.push(...(await this.group(group, raw)))
    }
    return cells
  }

  private async group(loads: readonly Load[], raw: string): Promise<readonly Cell[]> {
    const [first] = loads
    if (first === undefined) return []
    await using stack = new AsyncDisposableStack()
    const subjects: Subject[] = []
    for (const name of first.subjects) subjects.push(stack.use(await startSubject(this.place, name, first.transport)))
    const tools = { load: this.loadProgram, folder: this.options.folder, cpus: this.pins.rest }
    const cells: Cell[] = []
    let warm: string | null = null
    for (const load of loads) {
      const { section, under, api, transport, connections, scale } = load
      const kind = under ?? section
      if (kind !== warm) await this.warmUp(tools, subjects, load)
      warm = kind
      this.options.say(`${section} ${transport} ${api} ${connections} ${scale}`)
      const samples = new Map<Subject, Sample[]>(subjects.map((subject) => [subject, []]))
      for (let round = 0; round < load.rounds; round++) {
        for (const subject of shuffled(subjects, Math.random)) {
          const take = () => measure(tools, subject, load)
          // Memory is measured there, of which a second time takes more, and not speed.
          const sample = section === "open" ? await take() : await this.options.calm.sample(take)
          samples.get(subject)?.push(sample)
          appendFileSync(
            raw,
            `${JSON.stringify({ ...load, subjects: undefined, subject: subject.name, round, ...sample })}\n`,
          )
        }
      }
      const expected = expectedHash(load, samples)
      for (const [subject, taken] of samples) {
        const failed = taken.reduce((sum, { failed, hash }) => sum + failed + (differs(hash, expected) ? 1 : 0), 0)
        cells.push({
          section,
          ...(under !== undefined && { under }),
          api,
          transport,
          subject: subject.name,
          connections,
          scale,
          figures: spreads(taken),
          beside: besides(load, subject, samples),
          failed,
        })
      }
    }
    return cells
  }

  private async warmUp(tools: Parameters<typeof measure>[0], subjects: readonly Subject[], load: Load): Promise<void> {
    if (load.section === "open") return
    const connections = Math.min(Math.max(load.connections, 16), 64)
    // Events that come one by one take other ways than those that come together.
    const paces = (load.under ?? load.section) === "paced" ? [WARM_UP_PACE, load.pace ?? PACE.paced] : [WARM_UP_PACE]
    for (const subject of subjects) {
      const { process } = subject
      if (process === null) continue
      for (const pace of paces) {
        const put = (seconds: number) => measure(tools, subject, { ...load, seconds, connections, pace })
        if (load.seconds < 1) await put(QUICK_SECONDS)
        else await warmUp(() => process.used(), put)
      }
    }
  }

  async starts(sizes: readonly number[], rounds: number): Promise<readonly Start[]> {
    const starts: Start[] = []
    for (const size of sizes) {
      this.options.say(`start ${size}`)
      starts.push(await measureStart(this.place, size, rounds, this.options.calm))
    }
    return starts
  }

  async scheduler(quick: boolean): Promise<readonly SchedulerRow[]> {
    this.options.say("scheduler")
    const program = join(this.options.root, "scripts/lib/bench/scheduler.ts")
    const rows: SchedulerRow[] = []
    for (const models of quick ? ["1"] : ["1", "16", "128"]) {
      for (const credentials of quick ? ["1", "10"] : ["1", "10", "1000", "100000"]) {
        await this.options.calm.settle()
        const taken: SchedulerRow[] = []
        // A process for each: what a pool of 100,000 leaves behind would be measured with the next one.
        const command = [process.execPath, program, "--json", credentials, models]
        for (let i = 0; i < (quick ? 1 : SCHEDULER_RUNS); i++) {
          taken.push(JSON.parse(await run(command, this.pins.subject)))
        }
        rows.push(middle(taken))
      }
    }
    return rows
  }

  async parts(quick: boolean): Promise<readonly PartsRow[]> {
    this.options.say("parts")
    const program = join(this.options.root, "scripts/lib/bench/parts.ts")
    await this.options.calm.settle()
    const output = await run([process.execPath, program, quick ? "10" : "150"], this.pins.subject)
    return output
      .trim()
      .split("\n")
      .map((line): PartsRow => JSON.parse(line))
  }

  /** Names and versions of what measured. */
  async tools(): Promise<readonly string[]> {
    const asked = [
      { command: ["wrk", "-v"], name: "wrk" },
      { command: ["nginx", "-v"], name: "nginx" },
      { command: ["cc", "--version"], name: "cc" },
    ]
    return Promise.all(
      asked.map(async ({ command, name }) => {
        // wrk shows its version on the way to an error.
        const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" })
        const texts = [Bun.readableStreamToText(child.stdout), Bun.readableStreamToText(child.stderr)]
        return `${name} ${/\d+\.\d+(?:\.\d+)*/.exec((await Promise.all(texts)).join("\n"))?.[0] ?? ""}`.trim()
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.held) await process[Symbol.asyncDispose]()
  }
}

function besides(load: Load, own: Subject, samples: ReadonlyMap<Subject, readonly Sample[]>): Cell["beside"] {
  const rounds = (of: Subject) => (samples.get(of) ?? []).map(({ figures }) => figures)
  const bare = REFERENCES[load.section]
    .map((name) => samples.keys().find((subject) => subject.name === name))
    .find((subject) => subject !== undefined)
  return bare === undefined ? {} : compared(rounds(own), rounds(bare))
}

function spreads(samples: readonly Sample[]): Cell["figures"] {
  const figures: Partial<Record<Figure, ReturnType<typeof spread>>> = {}
  const names: readonly Figure[] = ["rate", "p50", "p95", "p99", "cpu", "rss", "firstByte"]
  for (const name of names) {
    const values = samples.map((sample) => sample.figures[name]).filter((value) => value !== undefined)
    if (values.length > 0) figures[name] = spread(values)
  }
  return figures
}

/** The middle of what several processes measured of one row. */
function middle(rows: readonly SchedulerRow[]): SchedulerRow {
  const [first] = rows
  if (first === undefined) throw new Error("no row of the scheduler was measured")
  const operations = Object.keys(first.operations).map((name): [string, number] => [
    name,
    spread(rows.map((row) => row.operations[name] ?? Number.NaN)).median,
  ])
  return { ...first, operations: Object.fromEntries(operations) }
}

/** What a stream's bytes must come to: as the upstream sent them for the Responses API, as the bare re-framer wrote them else. */
function expectedHash(load: Load, samples: ReadonlyMap<Subject, readonly Sample[]>): string | null {
  const references = load.api === "codex" ? ["direct", "pass", "read"] : ["reframe"]
  for (const [subject, [sample]] of samples) {
    if (references.includes(subject.name) && sample !== undefined && sample.hash !== null) return sample.hash
  }
  return null
}

const differs = (hash: string | null, expected: string | null): boolean =>
  hash !== null && expected !== null && hash !== expected
