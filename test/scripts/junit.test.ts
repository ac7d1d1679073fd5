import { expect, test } from "bun:test"
import { countRun } from "../../scripts/lib/junit.ts"

const file = (name: string, tests: number, failures = 0, skipped = 0, inner = "") =>
  `<testsuite name="${name}" file="${name}" tests="${tests}" assertions="1" failures="${failures}" skipped="${skipped}" time="0">${inner}</testsuite>`
const report = (...suites: string[]) =>
  `<?xml version="1.0"?>\n<testsuites name="bun test" tests="99" failures="0" skipped="0">${suites.join("\n")}</testsuites>`

test("passed, failed and skipped tests are added up over the files", () => {
  const count = countRun(report(file("test/a.test.ts", 4, 1, 1), file("test/b.test.ts", 3)), 1, [
    "test/a.test.ts",
    "test/b.test.ts",
  ])
  expect(count).toEqual({ passed: 5, failed: 1, skipped: 1, faults: [] })
})

test("describe blocks are nested in their file and not counted twice", () => {
  const inner = file("test/a.test.ts", 2, 0, 0, file("test/a.test.ts", 1, 0, 0, "<testsuite tests='0'/>"))
  const count = countRun(report(file("test/a.test.ts", 2, 0, 0, inner), file("test/b.test.ts", 1)), 0, [
    "test/a.test.ts",
    "test/b.test.ts",
  ])
  expect(count).toEqual({ passed: 3, failed: 0, skipped: 0, faults: [] })
})

test("a runner that left no report counts as failed, whatever its exit code", () => {
  expect(countRun(null, 0, ["test/a.test.ts"]).failed).toBe(1)
  expect(countRun(null, null, ["test/a.test.ts"]).failed).toBe(2)
})

test("a file that is missing from the report counts as failed", () => {
  const count = countRun(report(file("test/a.test.ts", 1)), 1, ["test/a.test.ts", "test/b.test.ts"])
  expect(count.failed).toBe(1)
  expect(count.faults).toEqual(["test/b.test.ts could not be loaded, or ended the test runner"])
})

test("a file without a test that ran counts as failed", () => {
  const count = countRun(report(file("test/a.test.ts", 2, 0, 2)), 0, ["test/a.test.ts"])
  expect(count).toEqual({ passed: 0, failed: 1, skipped: 2, faults: ["test/a.test.ts ran no test"] })
})

test("an exit code that no failed test explains counts as failed", () => {
  expect(countRun(report(file("test/a.test.ts", 1)), 1, ["test/a.test.ts"]).failed).toBe(1)
})
