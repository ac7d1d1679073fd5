/** What one run of `bun test` has to say for itself. */
export interface Count {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Failures that no test case stands for: a crash, a file that could not be loaded, a file without a test. */
  readonly faults: readonly string[]
}

/**
 * Counts a run from its JUnit report, and does not believe it blindly: a runner that dies writes no report, `process.exit(0)`
 * inside a test ends it with code 0, and a file that cannot be loaded is missing from the report.
 *
 * @param report the JUnit XML, or null where none was written
 * @param exitCode the runner's; null where it was killed
 * @param files the test files it was given, relative to the project
 */
export function countRun(report: string | null, exitCode: number | null, files: readonly string[]): Count {
  const faults: string[] = []
  if (exitCode === null) faults.push("the test runner was killed")
  if (report === null) {
    faults.push(`the test runner ended with code ${exitCode ?? "none"} and left no report`)
    return { passed: 0, failed: faults.length, skipped: 0, faults }
  }
  const total = { tests: 0, failures: 0, skipped: 0 }
  const seen = new Map<string, number>()
  for (const suite of outermostSuites(report)) {
    total.tests += suite.tests
    total.failures += suite.failures
    total.skipped += suite.skipped
    seen.set(suite.file, suite.tests - suite.skipped)
  }
  for (const file of files) {
    if (!seen.has(file)) faults.push(`${file} could not be loaded, or ended the test runner`)
    else if (seen.get(file) === 0) faults.push(`${file} ran no test`)
  }
  if (exitCode !== null && exitCode !== 0 && total.failures === 0 && faults.length === 0) {
    faults.push(`the test runner ended with code ${exitCode} although no test failed`)
  }
  return {
    passed: total.tests - total.failures - total.skipped,
    failed: total.failures + faults.length,
    skipped: total.skipped,
    faults,
  }
}

/** The per-file elements; `describe` blocks are nested in them and counted there already. */
function outermostSuites(report: string): { file: string; tests: number; failures: number; skipped: number }[] {
  const suites = []
  let depth = 0
  for (const match of report.matchAll(/<(\/?)testsuite\b([^>]*?)(\/?)>/g)) {
    const [, closing, attributes = "", selfClosing] = match
    if (closing === "/") {
      depth--
      continue
    }
    if (depth === 0) {
      suites.push({
        file: attribute(attributes, "file"),
        tests: Number(attribute(attributes, "tests")),
        failures: Number(attribute(attributes, "failures")),
        skipped: Number(attribute(attributes, "skipped")),
      })
    }
    if (selfClosing !== "/") depth++
  }
  return suites
}

function attribute(attributes: string, name: string): string {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? ""
}
