import { loadConfig } from "../config/load.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Input, type Io, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { checkDatabase, checkEnvironment, checkRunning, checkServer, checkUpstream } from "./doctor-checks.ts"
import { type Finding, fail, leftoverFindings, ok, warn } from "./doctor-rules.ts"
import { createPaint, type Paint } from "./paint.ts"
import { connect, findTarget, ServerError, type Target } from "./server.ts"

export const doctor: Command = {
  words: ["doctor"],
  summary: "look for what is wrong, and say what to do",
  detail:
    "Looks at the configuration, the database file, the disk, the server and its port, the key, the credentials, the way to each provider, and the clock. It changes nothing and sends nothing but empty requests. A provider out of reach is a warning, since this machine may be offline. Exit code 1: at least one check failed.",
  examples: [
    { line: "pollux doctor", says: "beside config.toml, whether the server runs or not" },
    { line: "pollux doctor --server https://pollux.example", says: "a server elsewhere; the key from POLLUX_KEY" },
    { line: "pollux doctor --json", says: "for a program" },
  ],
  options: [...SERVER_OPTIONS, JSON_OPTION],
  exits: [EXIT.failure],
  async run(input, io) {
    const findings = await examine(input, io)
    const well = findings.every(({ state }) => state !== "fail")
    if (input.has("json")) io.out(`${JSON.stringify({ ok: well, findings }, null, 2)}\n`)
    else io.out(findingsText(findings, createPaint(io.color)))
    return well ? EXIT.ok : EXIT.failure
  },
}

async function examine(input: Input, io: Io): Promise<readonly Finding[]> {
  const loaded = loadConfig({ explicitPath: input.option("config"), env: io.env, cwd: io.cwd })
  const elsewhere = input.option("server") !== null
  const config = loaded.ok ? loaded.config : null
  const upstreams = Object.entries(config?.providers ?? {}).map(([name, settings]) => checkUpstream(name, settings))
  const running = await examineServer(input, io, { elsewhere, wrong: !loaded.ok && !elsewhere })
  const findings: Finding[] = []
  if (loaded.ok) {
    findings.push(ok("configuration", `${loaded.path} is valid`))
    for (const text of loaded.warnings) findings.push(warn("configuration", text, null))
    findings.push(...checkDatabase(loaded.config, io.cwd, running.runs), ...checkEnvironment(io.env, loaded.config))
    findings.push(...leftoverFindings(loaded.config, Date.now()))
  } else if (!elsewhere || !loaded.missing) {
    for (const problem of loaded.problems) findings.push(fail("configuration", problem, null))
  }
  findings.push(...running.findings, ...(await Promise.all(upstreams)).flat())
  return once(findings)
}

async function examineServer(
  input: Input,
  io: Io,
  { elsewhere, wrong }: { readonly elsewhere: boolean; readonly wrong: boolean },
): Promise<{ readonly runs: boolean; readonly findings: readonly Finding[] }> {
  let target: Target
  try {
    target = findTarget(input, io)
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    // A configuration that is wrong has been told already.
    const why = wrong ? "the configuration is wrong" : error.message
    return { runs: false, findings: [warn("server", `not looked at: ${why.replace(/^pollux: /, "")}`, null)] }
  }
  const { presence, findings } = await checkServer(target.url, elsewhere ? null : target.config)
  const runs = presence === "pollux"
  return { runs, findings: runs ? [...findings, ...(await checkRunning(connect(target)))] : findings }
}

/** One line about the clock is enough when all is well, and one about each upstream that two providers share. */
function once(findings: readonly Finding[]): readonly Finding[] {
  const clocks = findings.filter(({ check }) => check === "clock")
  const worst =
    clocks.find(({ state }) => state === "fail") ?? clocks.find(({ state }) => state === "warn") ?? clocks.at(-1)
  return findings.filter((finding) => finding.check !== "clock" || finding === worst)
}

/** One line a finding, and what to do below it. Pure. */
export function findingsText(findings: readonly Finding[], paint: Paint): string {
  const width = Math.max(...findings.map(({ check }) => check.length), 0)
  const marks = { ok: paint.good("ok  "), warn: paint.warn("warn"), fail: paint.bad("FAIL") }
  const lines = findings.flatMap(({ check, state, says, cure }) => [
    `${marks[state]}  ${check.padEnd(width)}  ${says}`,
    ...(cure === null ? [] : [`${" ".repeat(width + 8)}${paint.dim("->")} ${cure}`]),
  ])
  const count = (state: Finding["state"]) => findings.filter((finding) => finding.state === state).length
  return `${lines.join("\n")}\n\n${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed\n`
}
