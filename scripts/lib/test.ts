/** The body of `scripts/test`, once Bun and the packages are there. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { searchLeaks } from "../../test/support/leaks.ts"
import { capture } from "./capture.ts"
import { FROM_DEBIAN, indent, KEPT, PREPARE } from "./needs.ts"
import { runSuites } from "./runner.ts"
import { groupSuites, type Need, type Suite } from "./suites.ts"

const root = resolve(import.meta.dir, "../..")

/** Checks of the sources, done before any test. */
const CHECKS: readonly { readonly name: string; readonly command: readonly string[] }[] = [
  { name: "types", command: ["bun", "check"] },
  { name: "style", command: ["bun", "x", "biome", "ci", "--colors=off", "."] },
]

/**
 * @param args suite kinds (`unit`, `e2e`, `clients`), or files; none: everything, with the checks
 * @returns the exit code
 */
async function main(args: readonly string[]): Promise<number> {
  const began = performance.now()
  const print = (text: string) => console.log(text)
  const { suites, problem } = choose(args)
  if (problem !== null) {
    print(`error: ${problem}`)
    return 64
  }
  const record = join(root, ".tmp/test/record")
  rmSync(record, { recursive: true, force: true })
  mkdirSync(record, { recursive: true })

  // Whatever the tests leave in the temporary folder, killed ones too, goes with it.
  const scratch = mkdtempSync(join(tmpdir(), "pollux-tests-"))
  chmodSync(scratch, 0o1777) // as the one it stands for: some tests become another user
  process.on("exit", () => rmSync(scratch, { recursive: true, force: true }))

  const broken = args.length === 0 ? await runChecks(print) : 0
  const total = await runSuites(suites, {
    root,
    jobs: Number(process.env.POLLUX_TEST_JOBS) || Math.min(4, Math.max(2, availableParallelism())),
    env: { ...testEnvironment(process.env, record), TMPDIR: scratch },
    prepare: preparer(),
    print,
  })

  const { leaks, logs, secrets } = searchLeaks(record)
  if (logs > 0 && leaks.length === 0) print(`ok   leaks: none of ${secrets} secrets in ${logs} logs`)
  for (const leak of leaks) print(`FAIL leak: ${leak}`)
  const failed = total.failed + broken + (leaks.length > 0 ? 1 : 0)
  const seconds = Math.round((performance.now() - began) / 1000)
  print(`\n${suites.length} suites in ${seconds} s`)
  print(`${total.passed} passed, ${failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`)
  return failed === 0 && total.passed > 0 ? 0 : 1
}

/** Makes needs ready; those that come from Debian one after the other, since apt runs only once at a time. */
function preparer(): (need: Need) => Promise<string | null> {
  let apt: Promise<unknown> = Promise.resolve()
  const attempt = async (need: Need) => {
    try {
      await PREPARE[need](root)
      return null
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return (need) => {
    if (!FROM_DEBIAN.has(need)) return attempt(need)
    const turn = apt.then(() => attempt(need))
    apt = turn
    return turn
  }
}

function choose(args: readonly string[]): { suites: readonly Suite[]; problem: string | null } {
  const scan = new Bun.Glob("test/**/*.test.ts").scanSync({ cwd: root })
  const files = [...scan].filter((file) => !file.includes("node_modules"))
  const all = groupSuites(files, (file) => readFileSync(join(root, file), "utf8"))
  if (args.length === 0) return { suites: all, problem: null }
  const suites: Suite[] = []
  for (const arg of args) {
    const path = relative(root, resolve(arg)).replaceAll("\\", "/")
    const found = all.filter((suite) => suite.kind === arg || suite.name === arg)
    const named = all.flatMap((suite) => {
      const files = suite.files.filter((file) => file === path || file.startsWith(`${path}/`))
      return files.length > 0 ? [{ ...suite, files }] : []
    })
    const chosen = found.length > 0 ? found : named
    if (chosen.length === 0) {
      return { suites, problem: `"${arg}" is neither unit, e2e, clients, a suite, a test file nor a folder of tests` }
    }
    suites.push(...chosen)
  }
  return { suites, problem: null }
}

async function runChecks(print: (text: string) => void): Promise<number> {
  let broken = 0
  for (const { name, command } of CHECKS) {
    const { output, code } = await capture(command, { cwd: root })
    if (code === 0) {
      print(`ok   ${name}`)
      continue
    }
    broken++
    print(`FAIL ${name} (${command.join(" ")})\n${indent(output)}`)
  }
  return broken
}

/** No test may be led astray by a setting of this machine: its proxies, or the keys and paths that Pollux reads. */
function testEnvironment(env: NodeJS.ProcessEnv, record: string): Record<string, string | undefined> {
  const kept = Object.entries(env).filter(([name]) => !/^(https?_proxy|all_proxy|no_proxy|pollux_.*)$/i.test(name))
  return { ...Object.fromEntries(kept), POLLUX_TEST_RECORD: record, POLLUX_TEST_BUILT: join(root, KEPT) }
}

process.exit(await main(process.argv.slice(2)))
