import { describe, expect, test } from "bun:test"
import type { Command } from "../../src/cli/command.ts"
import { helpText } from "../../src/cli/help.ts"
import { useColor } from "../../src/cli/io.ts"
import { parseCommandLine } from "../../src/cli/parse.ts"
import { isWide, liftRequestLimit, needsManyRequests } from "../../src/cli/request-limit.ts"

const command = (words: string, more: Partial<Command> = {}): Command => ({
  words: words.split(" "),
  summary: `do ${words}`,
  examples: [{ line: `pollux ${words}`, says: "an example" }],
  run: async () => 0,
  ...more,
})

const table: readonly Command[] = [
  command("serve", { options: [{ name: "config", short: "c", value: "PATH", summary: "file" }], exits: [78] }),
  command("login", {
    arguments: [{ name: "PROVIDER", summary: "which one", required: true, choices: ["alpha", "beta"] }],
    options: [{ name: "paste", summary: "by hand" }],
  }),
  command("import", { arguments: [{ name: "PATH", summary: "files", required: true, many: true }] }),
  command("credential list"),
  command("credential remove", { arguments: [{ name: "ID", summary: "which", required: true }] }),
  command("usage", { options: [{ name: "by", value: "WHAT", choices: ["model", "day"], summary: "group" }] }),
]

const parse = (line: string) => parseCommandLine(line === "" ? [] : line.split(" "), table)

function usageOf(line: string): string {
  const parsed = parse(line)
  return parsed.kind === "usage" ? parsed.message : `not a usage error but ${parsed.kind}`
}

describe("a command line", () => {
  test("without a command serves, with serve's options", () => {
    const parsed = parse("--config other.toml")
    expect(parsed.kind === "run" && parsed.command.words).toEqual(["serve"])
    expect(parsed.kind === "run" && parsed.input.option("config")).toBe("other.toml")
    expect(parse("").kind).toBe("run")
  })

  test("finds commands of two words", () => {
    const parsed = parse("credential remove 3")
    expect(parsed.kind === "run" && parsed.command.words).toEqual(["credential", "remove"])
    expect(parsed.kind === "run" && parsed.input.args).toEqual(["3"])
  })

  test("names what was probably meant", () => {
    expect(usageOf("sevre")).toContain('did you mean "serve"?')
    expect(usageOf("credential lst")).toContain('did you mean "credential list"?')
    expect(usageOf("--confg x")).toContain('did you mean "--config"?')
    expect(usageOf("login alhpa")).toContain('did you mean "alpha"?')
  })

  test("says what is missing or too much", () => {
    expect(usageOf("login")).toContain("PROVIDER is missing")
    expect(usageOf("login alpha beta")).toContain('unexpected argument "beta"')
    expect(usageOf("serve --config")).toContain("--config needs a value")
    expect(usageOf("login alpha --paste=1")).toContain("--paste takes no value")
    expect(usageOf("usage --by hour")).toContain('--by takes model, day, got "hour"')
  })

  test("takes any number of arguments where the command does", () => {
    const parsed = parse("import a b c")
    expect(parsed.kind === "run" && parsed.input.args).toEqual(["a", "b", "c"])
  })

  test("asks for help in each of the usual ways", () => {
    expect(parse("help")).toEqual({ kind: "help", words: [] })
    expect(parse("--help")).toEqual({ kind: "help", words: [] })
    expect(parse("login --help")).toEqual({ kind: "help", words: ["login"] })
    expect(parse("help credential list")).toEqual({ kind: "help", words: ["credential", "list"] })
    expect(parse("credential")).toEqual({ kind: "help", words: ["credential"] })
    expect(parse("--version")).toEqual({ kind: "version" })
  })
})

describe("help", () => {
  const meaning = (code: number) => `meaning of ${code}`

  test("shows examples before anything else", () => {
    expect(helpText(["login"], table, meaning, "1.0")?.startsWith("Examples\n  pollux login")).toBe(true)
  })

  test("lists options, choices and exit codes of a command", () => {
    const text = helpText(["serve"], table, meaning, "1.0")
    expect(text).toContain("-c, --config PATH")
    expect(text).toContain("meaning of 78")
    expect(helpText(["usage"], table, meaning, "1.0")).toContain("group: model, day")
  })

  test("names every command in the overview", () => {
    const text = helpText([], table, meaning, "1.0") ?? ""
    for (const { words } of table) expect(text).toContain(`pollux ${words.join(" ")}`)
  })

  test("knows no help for a command that is not there", () => {
    expect(helpText(["nothing"], table, meaning, "1.0")).toBeNull()
  })
})

describe("colour", () => {
  test("follows NO_COLOR, then FORCE_COLOR, then the terminal", () => {
    expect(useColor({ NO_COLOR: "1", FORCE_COLOR: "1" }, true)).toBe(false)
    expect(useColor({ FORCE_COLOR: "1" }, false)).toBe(true)
    expect(useColor({}, true)).toBe(true)
    expect(useColor({ TERM: "dumb" }, true)).toBe(false)
    expect(useColor({}, false)).toBe(false)
  })
})

describe("the limit of simultaneous upstream requests", () => {
  const spawned: { file: string; args: string[]; env: Record<string, string> }[] = []
  const fake = (env: Record<string, string | undefined>) => ({
    env,
    execPath: "/opt/pollux",
    execve: (file: string, args: string[], next: Record<string, string>) =>
      void spawned.push({ file, args, env: next }),
  })

  test("is lifted by running the same image again, once", () => {
    liftRequestLimit(["serve"], fake({ HOME: "/home/x" }))
    const again = spawned.pop()
    expect(again?.args).toEqual(["/opt/pollux", "serve"])
    expect(again?.env.HOME).toBe("/home/x")
    expect(isWide(again?.env ?? {})).toBe(true)
    liftRequestLimit(["serve"], fake(again?.env ?? {}))
    expect(spawned).toEqual([])
  })

  test("does not loop where the runtime drops the variable", () => {
    liftRequestLimit([], fake({ POLLUX_EXECED: "1" }))
    expect(spawned).toEqual([])
  })

  test("matters to serving alone", () => {
    expect(needsManyRequests([])).toBe(true)
    expect(needsManyRequests(["--config", "x"])).toBe(true)
    expect(needsManyRequests(["status"])).toBe(false)
    expect(needsManyRequests(["serve", "--help"])).toBe(false)
  })
})
