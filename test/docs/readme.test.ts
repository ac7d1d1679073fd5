/** What README.md says is what the program does, as far as that can be compared without starting it. */
import { describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { withParts } from "../../scripts/lib/docs/markers.ts"
import { readmeParts } from "../../scripts/lib/docs/parts.ts"
import { commands } from "../../src/cli/commands.ts"
import { parseCommandLine } from "../../src/cli/parse.ts"
import { codeIn, fencedLines, README, ROOT, rows, section } from "./readme.ts"

const sources = [...new Bun.Glob("src/**/*.ts").scanSync({ cwd: ROOT })].map((file) => ({
  file,
  text: readFileSync(resolve(ROOT, file), "utf8"),
}))

/** A link's target for a heading, as GitHub makes it. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\s-]/g, "")
    .trim()
    .replaceAll(" ", "-")

describe("README.md", () => {
  test("has its generated parts as scripts/docs writes them", async () => {
    expect(withParts(README, await readmeParts())).toBe(README)
  })

  test("has a place for the results of the benchmarks", () => {
    expect(README.match(/^<!-- bench:(begin|end) -->$/gm)).toEqual(["<!-- bench:begin -->", "<!-- bench:end -->"])
  })

  test("has no link that leads nowhere", () => {
    const anchors = new Set([...README.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchor(heading)))
    const links = [...README.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target)
    expect(links.length).toBeGreaterThan(10)
    for (const link of links) {
      if (link.startsWith("#")) expect([...anchors]).toContain(link.slice(1))
      else if (!link.includes("://")) expect([link, existsSync(resolve(ROOT, link))]).toEqual([link, true])
    }
  })

  test("names only files and folders that are there", () => {
    const named = [...README.matchAll(/`((?:src|test|scripts)\/[\w./-]*)`/g)].map(([, path = ""]) => path)
    expect(named.length).toBeGreaterThan(10)
    for (const path of named) expect([path, existsSync(resolve(ROOT, path))]).toEqual([path, true])
  })

  test("has only command lines that the program understands", () => {
    const typed = fencedLines("sh")
      .map((line) => line.trim())
      .filter((line) => /^(?:sudo )?(?:\.\/)?pollux\b/.test(line))
      .map((line) => line.replace(/ +#.*$/, ""))
    const inText = [...README.matchAll(/`(pollux [a-z][^`]*)`/g)].map(([, line = ""]) => line)
    expect(typed.length + inText.length).toBeGreaterThan(20)
    for (const line of [...typed, ...inText]) {
      const words = line.replace(/^(?:sudo )?(?:\.\/)?pollux */, "").match(/'[^']*'|\S+/g) ?? []
      // Placeholders and groups are shown too.
      if (words.some((word) => /^\[|\.\.\.\]?$/.test(word)) || line.includes("|")) continue
      const parsed = parseCommandLine(words, commands)
      const fits = parsed.kind !== "usage" || /\b(?:NAME|CLIENT|SHELL|PROVIDER|PATH)\b/.test(line) || isPrefix(words)
      expect([line, parsed.kind === "usage" && !fits ? parsed.message : "fits"]).toEqual([line, "fits"])
    }
  })

  test("tells every environment variable that is read", () => {
    const read = sources.flatMap(({ text }) => [
      ...[...text.matchAll(/\benv\.([A-Z][A-Z_]+)\b/g)].map(([, name = ""]) => name),
      ...[...text.matchAll(/outsideSecret\(source, "([A-Z_]+)"/g)].map(([, name = ""]) => name),
    ])
    // Crash points exist in test builds only; the desktop's own variables tell whether there is a browser.
    const own = new Set([
      "POLLUX_FAULT",
      "POLLUX_FAULT_CLOCK",
      "BROWSER",
      "DISPLAY",
      "WAYLAND_DISPLAY",
      "SSH_CONNECTION",
      "SSH_TTY",
    ])
    const told = new Set(read.filter((name) => !own.has(name)))
    expect(told.size).toBeGreaterThan(6)
    for (const name of told) expect(README).toContain(name)
  })

  test("tells every error code that Pollux gives", () => {
    const codes = sources.flatMap(({ file, text }) =>
      /^src\/(?:http|providers)\//.test(file)
        ? [...text.matchAll(/(?:code: |localError\(\d+, |refused\(|errorBody\()\s*"([A-Z][A-Z_]+)"/g)].map(
            ([, code = ""]) => code,
          )
        : [],
    )
    expect(new Set(codes).size).toBeGreaterThan(15)
    for (const code of new Set(codes)) expect(README).toContain(`\`${code}\``)
  })

  test("tells every state a credential can be in, and every reason for parking", () => {
    const states = rows(section("States of a credential")).map(([cell = ""]) => cell)
    const shown = new Set(states.flatMap(codeIn))
    for (const name of ["ready", "cooling", "refreshing", "expired", "parked", "disabled", "banned"])
      expect([...shown]).toContain(name)
    for (const name of ["needs_login", "needs_verification", "ineligible", "service_disabled"])
      expect([...shown]).toContain(name)
  })

  test("names every package, once, with a reason, and no other", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(resolve(ROOT, "package.json"), "utf8"))
    const packages = Object.keys({ ...dependencies, ...devDependencies })
    const table = rows(section("Development")).filter((cells) => cells.length === 4 && !cells[0]?.startsWith("*"))
    expect(table.map(([name = ""]) => name).sort()).toEqual(packages.sort())
    for (const cells of table) for (const cell of cells) expect(cell).not.toBeEmpty()
  })

  test("holds no path of the machine that it was written on, and no registry's address", () => {
    expect(README).not.toMatch(/\/(?:work|root|home\/\w+)\/|\/tmp\/|registry\.npmjs|[\w.-]+\.internal/)
  })
})

/** Whether the words only begin a command: text speaks of `pollux credential` or `pollux key`. */
function isPrefix(words: readonly string[]): boolean {
  return commands.some(
    (command) => words.length <= command.words.length && words.every((word, at) => command.words[at] === word),
  )
}

describe("scripts/docs", () => {
  const run = (...args: readonly string[]) =>
    Bun.spawnSync([process.execPath, resolve(ROOT, "scripts/lib/docs.ts"), ...args], {
      env: { PATH: process.env.PATH ?? "" },
    })

  test("with --check writes nothing, and ends with 0 when nothing is to be written", () => {
    const { exitCode, stdout } = run("--check")
    expect([exitCode, stdout.toString()]).toEqual([0, "README.md is up to date.\n"])
    expect(readFileSync(resolve(ROOT, "README.md"), "utf8")).toBe(README)
  })

  test("refuses other arguments", () => {
    for (const args of [["--chek"], ["--check", "x"]]) expect(run(...args).exitCode).toBe(64)
  })
})
