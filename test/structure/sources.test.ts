import { expect, test } from "bun:test"
import { codeOf, offences, projectFiles, read, sources, uncommented } from "./tree.ts"

const code = sources()
const tests = sources("test/")
const scripts = sources("scripts/")
const everything = [...code, ...tests, ...scripts]

const PROVIDER = /gemini|codex/i

/** These tests hold the patterns that they look for. */
const self = (file: string) => file.startsWith("test/structure/")

test("no file has more than 400 lines", () => {
  const shell = projectFiles().filter((file) => /^scripts\/(lib\/)?[\w.]+$/.test(file))
  const long = [...everything, ...shell].filter((file) => read(file).trimEnd().split("\n").length > 400)
  expect(long).toEqual([])
})

test("relay and scheduler name no provider, not even in a comment", () => {
  const neutral = code.filter((file) => /^src\/(relay|scheduler)\//.test(file))
  expect(offences(neutral, PROVIDER)).toEqual([])
})

test("the edge and the store's logic name no provider; only the schema knows their tables", () => {
  const neutral = code.filter((file) => /^src\/(http|store)\//.test(file) && file !== "src/store/schema.ts")
  expect(offences(neutral, PROVIDER, (_, line) => !PROVIDER.test(uncommented(line)))).toEqual([])
})

test("only main.ts reads the command line or ends the process", () => {
  const found = offences(code, /\bprocess\s*\.\s*(argv|exit)\b|\bBun\s*\.\s*argv\b/, (file, line) => {
    return file === "src/main.ts" || codeOf(line) === "" || !/process|Bun/.test(codeOf(line))
  })
  expect(found).toEqual([])
})

test("the environment is read where the program starts, and passed on from there", () => {
  const readers = [
    "src/main.ts",
    "src/cli/io.ts",
    "src/observe/log.ts",
    // Is handed the process by main.ts.
    "src/cli/request-limit.ts",
    // Texts for other programs.
    "src/cli/snippets.ts",
    // Crash points and the hand-set clock exist only in the build for tests.
    "src/store/fault.ts",
    "src/observe/clock.ts",
  ]
  const found = offences(code, /\bprocess\.env\b|\bBun\.env\b|\bimport\.meta\.env\b/, (file, line) => {
    return readers.includes(file) || !/env/.test(codeOf(line))
  })
  expect(found).toEqual([])
})

test("clock and chance are passed in: nothing below the composition reads them from a global", () => {
  const decisions = code.filter((file) => /^src\/(scheduler|relay|providers|http|store)\//.test(file))
  const found = offences(decisions, /\bDate\.now\(|\bperformance\.now\(|\bMath\.random\(|\bnew Date\(\)/, (_, line) => {
    return !/now\(|random\(|Date\(\)/.test(codeOf(line))
  })
  expect(found).toEqual([])
})

test("no module keeps mutable state", () => {
  expect(offences(code, /^(?:export )?(?:let|var)\s/)).toEqual([])
  const container = /^(?:export )?const [^=]+= (?:new (?:Weak)?(?:Map|Set)(?:<.*>)?\(\)|\[\]|\{\}|new LRUCache\b.*)$/
  const shared = offences(code, container, (file, line) => file === "src/store/fault.ts" || /readonly/i.test(line))
  expect(shared).toEqual([])
})

test("the compiler is never silenced", () => {
  const silenced = /@ts-(?:ignore|expect-error|nocheck)|\bas any\b|:\s*any\b|<any>|\bas unknown as\b|\bas never\b/
  const found = offences(everything, silenced, (file, line) => {
    return self(file) || !(line.includes("@ts-") || silenced.test(codeOf(line)))
  })
  expect(found).toEqual([])
})

test("no test is skipped, postponed or run alone", () => {
  const muted =
    /\b(?:test|it|describe)\s*\.\s*(?:skip|only|todo|if|skipIf|todoIf|failing)\b|\b[xf](?:it|describe|test)\(/
  expect(offences(tests, muted, self)).toEqual([])
})

test("nothing that is committed names a path of one machine or the host of a registry", () => {
  const text = projectFiles().filter((file) => !/\.(png|ico|db|sqlite|gz|zst|br|bin)$/.test(file) && file !== "LICENSE")
  const machine =
    /(?<![\w.])\/(?:work|root|home\/\w+)\/|\bregistry\.(?:npmjs|yarnpkg|npmmirror)\b|\bdeb\.debian\.org\b|\bpypi\.org\b|\bcrates\.io\b/
  expect(offences(text, machine, self)).toEqual([])
})

test("packages are pinned to one version each, and each one is used", () => {
  const manifest: unknown = JSON.parse(read("package.json"))
  const clients: unknown = JSON.parse(read("test/clients/package.json"))
  const pinned = (value: unknown) =>
    Object.entries(Object(value)).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))
  const { dependencies, devDependencies } = Object(manifest)
  expect([...pinned(dependencies), ...pinned(devDependencies), ...pinned(Object(clients).dependencies)]).toEqual([])
  const text = code.map(read).join("\n")
  const unused = Object.keys(Object(dependencies)).filter((name) => !text.includes(`"${name}`))
  expect(unused).toEqual([])
})
