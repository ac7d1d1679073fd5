/** The scripts of `pollux completion`, run by the shells that they are for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { ensureBuilt } from "../support/build.ts"
import { cli } from "../support/cli.ts"
import { secret } from "../support/secrets.ts"
import { until } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
let bin: string

beforeAll(async () => {
  world = await startWorld({ accounts: 2 })
  bin = join(world.pollux.cwd, "bin")
  mkdirSync(bin)
  symlinkSync(await ensureBuilt(), join(bin, "pollux"))
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout } = await capture([join(bin, "pollux"), "completion", shell], { cwd: bin, env: {} })
    expect(code).toBe(0)
    writeFileSync(join(bin, `pollux.${shell}`), stdout)
  }
  secret((await cli(world.pollux, ["key", "add", "laptop"])).stdout.trim())
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

async function run(command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await capture(command, {
    cwd: world.pollux.cwd,
    env: { PATH: `${bin}:${process.env.PATH}`, HOME: join(world.pollux.cwd, "home"), LANG: "C.UTF-8", TERM: "dumb" },
    timeout: 30_000,
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  return stdout
}

/** Words that each shell offers at the end of `line`. */
const offers: Readonly<Record<string, (line: string) => Promise<readonly string[]>>> = {
  async bash(line) {
    const script = `source ${bin}/pollux.bash
      COMP_LINE=$1 COMP_POINT=\${#1}
      $(complete -p pollux | sed -n 's/.*-F \\([^ ]*\\) .*/\\1/p') pollux
      printf '%s\\n' "\${COMPREPLY[@]}"`
    return words(await run(["bash", "--norc", "-c", script, "bash", line]))
  },

  /** Its own completion widgets, stood in for, tell what they were given; what they narrow down themselves is done here. */
  async zsh(line) {
    const script = `compdef() { registered=$2 }
      _describe() { local list=\${@[-1]}; print -rl -- \${\${(P)list}//(#m)*/$MATCH} }
      _files() { print -rl -- $PREFIX*(N) }
      compset() { PREFIX=\${PREFIX#*=} }
      compadd() { shift; print -rl -- "$@" }
      setopt extendedglob
      source ${bin}/pollux.zsh
      words=("\${(@s: :)1}") CURRENT=$#words PREFIX=$words[-1]
      [[ $registered == pollux ]] && _pollux`
    const typed = line.split(" ").at(-1) ?? ""
    const prefix = typed.startsWith("--") && typed.includes("=") ? typed.slice(typed.indexOf("=") + 1) : typed
    const shown = words(await run(["zsh", "-f", "-c", script, "zsh", line]))
    return shown
      .map((word) => word.replace(/(?<!\\):.*/, (rest) => (/^:\d+$/.test(rest) ? rest : "")))
      .filter((word) => word.startsWith(prefix))
  },

  async fish(line) {
    const shown = words(await run(["fish", "-N", "-c", `source ${bin}/pollux.fish; complete -C "$argv[1]"`, line]))
    return shown.map((word) => (word.split("\t")[0] ?? "").replace(/^--[\w-]+=/, ""))
  },
}

const words = (text: string) => text.split("\n").filter((word) => word !== "")

const models = ["gemini-2.5-pro", "gpt-5.2-codex", "gpt-5.2", "gpt-5.3-codex"]

/** What is typed, and all that is offered then. */
const cases: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ["pollux comp", ["completion"]],
  ["pollux credential ", ["list", "disable", "enable", "refresh", "remove", "clear"]],
  ["pollux credential re", ["refresh", "remove"]],
  ["pollux key r", ["revoke", "rotate"]],
  ["pollux usage --by ", ["model", "credential", "day", "hour", "provider", "key"]],
  ["pollux usage --by=mo", ["model"]],
  ["pollux usage --by model --u", ["--until"]],
  ["pollux client --server http://127.0.0.1:1 ge", ["gemini", "genai-sdk"]],
  ["pollux client codex ", []],
  ["pollux key revoke ", ["laptop"]],
  ["pollux key add ", []],
  ["pollux explain --model gpt-5.2", models.filter((model) => model.startsWith("gpt-5.2"))],
  ["pollux check --config conf", ["config.toml"]],
  ["pollux import conf", ["config.toml"]],
  ["pollux -c config.toml key revoke la", ["laptop"]],
  ["pollux help cred", ["credential"]],
  ["pollux usage --since ", []],
  ["pollux --vers", ["--version"]],
]

for (const [shell, offer] of Object.entries(offers)) {
  describe(shell, () => {
    for (const [line, offered] of cases) {
      test(`offers at "${line}": ${offered.join(" ") || "nothing"}`, async () => {
        expect([...(await offer(line))].sort()).toEqual([...offered].sort())
      })
    }

    test("takes the script without complaint", async () => {
      await run([shell, "-n", join(bin, `pollux.${shell}`)])
    })
  })
}

/** How each shell is made ready on a terminal of its own, without any configuration of the machine's. */
const TERMINALS: Readonly<
  Record<string, { readonly command: readonly string[]; readonly load: (folder: string) => string }>
> = {
  bash: { command: ["bash", "--norc", "--noprofile", "-i"], load: (folder) => `source ${folder}/pollux.bash` },
  zsh: {
    command: ["zsh", "-f", "-i"],
    load: (folder) => `autoload -Uz compinit; compinit -u -D; source ${folder}/pollux.zsh`,
  },
}

for (const [shell, { command, load }] of Object.entries(TERMINALS)) {
  test(`${shell} completes what a person types, also behind the colon of an id`, async () => {
    const output: string[] = []
    const decoder = new TextDecoder()
    const child = Bun.spawn([...command], {
      cwd: world.pollux.cwd,
      env: {
        PATH: `${bin}:${process.env.PATH}`,
        HOME: join(world.pollux.cwd, "home"),
        TERM: "dumb",
        INPUTRC: "/dev/null",
      },
      terminal: {
        cols: 300,
        rows: 40,
        data: (_, bytes) => void output.push(decoder.decode(bytes, { stream: true })),
      },
    })
    try {
      const type = (keys: string) => child.terminal?.write(keys)
      const sees = (what: RegExp) => until(`${shell} shows ${what}`, () => what.test(Bun.stripANSI(output.join(""))))
      type(`${load(bin)}; PS1='$ '; echo rea''dy\r`)
      await sees(/^ready/m)
      // Each step waits for the last, as a person does; the shells print what they complete.
      type("pollux key rev\t")
      await sees(/pollux key revoke/)
      type("lap\t")
      await sees(/laptop/)
      type("--js\t")
      await sees(/--json/)
      type(`\x15pollux credential enable --server ${world.pollux.url} gemini\t2\t >${shell}.txt; echo do''ne\r`)
      await sees(/^done/m)
      expect(readFileSync(join(world.pollux.cwd, `${shell}.txt`), "utf8")).toContain("geminicli:2")
    } finally {
      child.kill("SIGKILL")
      await child.exited
      child.terminal?.close()
    }
  })
}

test("bash and zsh offer the ids of credentials, asked of the server that the line names", async () => {
  const line = `pollux credential disable --server ${world.pollux.url} `
  const ids = ["codex:1", "codex:2", "geminicli:1", "geminicli:2"]
  for (const shell of ["bash", "zsh"]) expect([...((await offers[shell]?.(line)) ?? [])].sort()).toEqual(ids)
  expect(await offers.zsh?.(`${line}codex:1 cod`)).toEqual(["codex:1", "codex:2"])
  // Readline has cut the word at the colon.
  expect(await offers.bash?.(`${line}codex:`)).toEqual(["1", "2"])
})

test("what the scripts ask for is one item a line, and nothing when there is nobody to ask", async () => {
  const ids = await cli(world.pollux, ["completion", "credentials"])
  expect(words(ids.stdout).sort()).toEqual(["codex:1", "codex:2", "geminicli:1", "geminicli:2"])
  expect(words((await cli(world.pollux, ["completion", "models"])).stdout).sort()).toEqual([...models].sort())
  const binary = await ensureBuilt()
  for (const args of [["credentials", "--server", "http://127.0.0.1:1"], ["keys"], ["models"]]) {
    const { code, output } = await capture([binary, "completion", ...args], {
      cwd: join(world.pollux.cwd, "home"),
      env: {},
    })
    expect({ args, code, output }).toEqual({ args, code: 0, output: "" })
  }
})

test("every command and every option of the table is in each script", async () => {
  const binary = await ensureBuilt()
  const help = (await capture([binary, "--help"], { cwd: bin, env: {} })).stdout
  const commands = [...help.matchAll(/^ {2}pollux ([a-z]+(?: [a-z]+)?)/gm)].map(([, name = ""]) => name)
  expect(commands.length).toBeGreaterThan(10)
  for (const shell of Object.keys(offers)) {
    const script = readFileSync(join(bin, `pollux.${shell}`), "utf8")
    for (const name of commands) expect(script).toContain(name.split(" ")[0] ?? "")
  }
  for (const name of new Set(commands)) {
    const shown = (await capture([binary, ...name.split(" "), "--help"], { cwd: bin, env: {} })).stdout
    const options = [...shown.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option)
    if (options.length === 0) continue
    const offered = await offers.bash?.(`pollux ${name} --`)
    for (const option of options)
      expect({ name, offered }).toEqual({ name, offered: expect.arrayContaining([option ?? ""]) })
  }
})
