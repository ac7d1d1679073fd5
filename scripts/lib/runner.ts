import { mkdirSync, readFileSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { capture } from "./capture.ts"
import { type Count, countRun } from "./junit.ts"
import { indent } from "./needs.ts"
import type { Need, Suite } from "./suites.ts"

export interface RunOptions {
  readonly root: string
  /** Suites that may run side by side. */
  readonly jobs: number
  /** Environment of the runner processes. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Outcome of making a need ready: null when it is, else what is wrong. Each need is asked for once. */
  prepare(need: Need): Promise<string | null>
  print(text: string): void
}

export interface Total {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/** Runs all suites, at most `jobs` at once, the ready ones first; prints one line each and the whole output of those that fail. */
export async function runSuites(suites: readonly Suite[], options: RunOptions): Promise<Total> {
  const total = { passed: 0, failed: 0, skipped: 0 }
  const held = new Set<string>()
  const readiness = watchNeeds(suites, options)
  const waiting = [...suites]
  const running = new Set<Promise<void>>()

  const start = (suite: Suite) => {
    if (suite.holds !== null) held.add(suite.holds)
    const task = runOne(suite, readiness.complaint(suite), options).then((count) => {
      total.passed += count.passed
      total.failed += count.failed
      total.skipped += count.skipped
      if (suite.holds !== null) held.delete(suite.holds)
      running.delete(task)
    })
    running.add(task)
  }

  while (waiting.length > 0 || running.size > 0) {
    while (running.size < options.jobs) {
      const next = waiting.findIndex(
        (suite) => readiness.settled(suite) && (suite.holds === null || !held.has(suite.holds)),
      )
      const [suite] = next < 0 ? [] : waiting.splice(next, 1)
      if (suite === undefined) break
      start(suite)
    }
    await Promise.race([...running, ...readiness.pending(waiting)])
  }
  return total
}

/** Starts to make ready all that the suites need, and tells how far that is. */
function watchNeeds(suites: readonly Suite[], options: RunOptions) {
  const outcomes = new Map<Need, string | null>()
  const pending = new Map<Need, Promise<void>>()
  for (const need of new Set(suites.flatMap((suite) => suite.needs))) {
    const task = options.prepare(need).then((complaint) => {
      outcomes.set(need, complaint)
      pending.delete(need)
    })
    pending.set(need, task)
  }
  return {
    settled: (suite: Suite) => suite.needs.every((need) => outcomes.has(need)),
    complaint: (suite: Suite) => suite.needs.map((need) => outcomes.get(need)).find((text) => text != null) ?? null,
    pending: (waiting: readonly Suite[]) =>
      waiting.flatMap((suite) => suite.needs).flatMap((need) => pending.get(need) ?? []),
  }
}

async function runOne(suite: Suite, complaint: string | null, options: RunOptions): Promise<Count> {
  if (complaint !== null) {
    options.print(`FAIL ${suite.name}\n${indent(complaint)}`)
    return { passed: 0, failed: suite.files.length, skipped: 0, faults: [complaint] }
  }
  const report = join(options.root, ".tmp/test/reports", `${suite.name.replaceAll("/", "-")}.xml`)
  mkdirSync(dirname(report), { recursive: true })
  rmSync(report, { force: true })
  const began = performance.now()
  const { output, code } = await capture(
    [
      process.execPath,
      "test",
      "--no-orphans",
      `--timeout=${suite.testTimeoutMs}`,
      "--reporter=junit",
      `--reporter-outfile=${report}`,
      ...suite.files.map((file) => `./${file}`),
    ],
    { cwd: options.root, env: options.env, timeout: suite.suiteTimeoutMs },
  )
  const count = countRun(readOrNull(report), code, suite.files)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : ""
  const line = `${suite.name}: ${count.passed} passed, ${count.failed} failed${skipped} (${seconds} s)`
  if (count.failed === 0) options.print(`ok   ${line}`)
  else options.print([`FAIL ${line}`, indent(output), ...count.faults.map((fault) => `  ${fault}`)].join("\n"))
  return count
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return null // never written: the runner died
  }
}
