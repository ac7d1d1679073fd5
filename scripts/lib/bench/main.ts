/** The benchmark's command. `scripts/bench --help` tells more. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { buildExecutable, revisionOf } from "../../build.ts"
import { Calm, memoryWalks } from "./calm.ts"
import { describeMachine, whyBusy } from "./machine.ts"
import { FULL, plan, QUICK, SECTIONS, type Section } from "./plan.ts"
import type { Results } from "./results.ts"
import { Stage } from "./stage.ts"
import { report, withReport } from "./table.ts"

const root = resolve(import.meta.dir, "../../..")
/** Kept with the tree: what the README's tables are made of. */
const KEPT = join(root, "scripts/lib/bench/results.json")
/** So many of the samples may be taken again for a calmer moment: sides are compared round by round, so that few need one. */
const REPEATED_SHARE = 0.25

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    force: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string" },
    out: { type: "string" },
    "write-readme": { type: "boolean", default: false },
  },
})

process.exitCode = await main()

async function main(): Promise<number> {
  const sections = parseSections(values.only)
  if (sections === null) {
    console.error(`error: --only takes sections by name, with commas between: ${SECTIONS.join(", ")}`)
    return 64
  }
  const base = values.quick ? QUICK : FULL
  const size = {
    ...base,
    rounds: positive(values.rounds) ?? base.rounds,
    seconds: positive(values.seconds) ?? base.seconds,
  }
  const missing = ["wrk", "nginx", "cc", "openssl"].filter((name) => Bun.which(name) === null)
  if (missing.length > 0) {
    console.error(
      `error: not here: ${missing.join(", ")}. On Debian: apt-get install wrk nginx-light gcc libc6-dev openssl`,
    )
    return 69
  }
  const busy = await whyBusy()
  if (busy !== null && !values.force) {
    console.error(
      `error: ${busy}: figures would mean nothing. Wait until the machine is quiet, or give --force to try things out.`,
    )
    return 75
  }
  const folder = mkdtempSync(join(tmpdir(), "pollux-bench-"))
  const revision = revisionOf(root, process.env.POLLUX_REVISION)
  const executable = join(folder, "pollux")
  await buildExecutable({
    entry: join(root, "src/main.ts"),
    outfile: executable,
    faults: false,
    target: null,
    revision,
  })
  const raw = join(root, ".bench")
  mkdirSync(raw, { recursive: true })
  const loads = plan(sections, size)
  const starts = sections.includes("start")
    ? { sizes: size.quick ? [0, 1] : [0, 1, 1_000], rounds: size.quick ? 1 : 15 }
    : null
  const samples = loads.reduce(
    (sum, { subjects, rounds }) => sum + subjects.length * rounds,
    starts === null ? 0 : starts.sizes.length * starts.rounds,
  )
  // A quick run shows that everything works, and a busy machine has no calm moments.
  const patient = !values.quick && busy === null
  const calm = new Calm({
    work: patient ? memoryWalks() : () => [],
    repeats: patient ? Math.ceil(samples * REPEATED_SHARE) : 0,
    sleep: (ms) => Bun.sleep(ms),
  })
  await using stage = await Stage.open({ root, folder, executable, calm, say: (line) => console.error(line) })
  const cells = await stage.loads(loads, join(raw, "samples.jsonl"))
  const results: Results = {
    at: new Date().toISOString(),
    revision,
    machine: describeMachine(await stage.tools()),
    kind: `${values.quick ? "quick" : "full"}${busy === null ? "" : ", on a busy machine"}`,
    rounds: size.rounds,
    samples: { counted: samples, repeated: calm.repeated, disturbed: calm.disturbed },
    executableBytes: Bun.file(executable).size,
    cells,
    starts: starts === null ? [] : await stage.starts(starts.sizes, starts.rounds),
    scheduler: sections.includes("scheduler") ? await stage.scheduler(size.quick) : [],
    parts: sections.includes("parts") ? await stage.parts(size.quick) : [],
  }
  const json = `${JSON.stringify(results, null, 2)}\n`
  writeFileSync(values.out ?? join(raw, "results.json"), json)
  console.log(report(results))
  if (values["write-readme"]) {
    const readme = join(root, "README.md")
    writeFileSync(readme, withReport(readFileSync(readme, "utf8"), results))
    writeFileSync(KEPT, json)
  }
  rmSync(folder, { recursive: true, force: true })
  const failed = cells.reduce((sum, cell) => sum + cell.failed, 0)
  if (failed > 0) console.error(`error: ${failed} requests failed, or gave other bytes than they should`)
  return failed > 0 ? 1 : 0
}

function parseSections(text: string | undefined): readonly Section[] | null {
  if (text === undefined) return SECTIONS
  const names = text.split(",")
  const found = SECTIONS.filter((section) => names.includes(section))
  return found.length === names.length ? found : null
}

function positive(text: string | undefined): number | null {
  const value = Number(text)
  return Number.isFinite(value) && value > 0 ? value : null
}
