import { expect, test } from "bun:test"
import { dirname, join, normalize } from "node:path"
import { read, sources } from "./tree.ts"

/** Rooms from the top down; a file imports from its own room and from those below. */
const ORDER: readonly (readonly string[])[] = [
  ["main"],
  ["cli"],
  ["app"],
  ["providers"],
  ["http"],
  ["relay"],
  ["scheduler"],
  ["store"],
  ["config", "observe"],
]

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

function roomOf(file: string): string {
  return file.replace(/^src\//, "").split(/[/.]/)[0] ?? ""
}

function rankOf(file: string): number {
  return ORDER.findIndex((rooms) => rooms.includes(roomOf(file)))
}

function importsOf(file: string): readonly Import[] {
  const found: Import[] = []
  const statement = /^\s*(?:import|export)\s+(type\s+)?(?:[^"';()]*?\s+from\s+)?"([^"]+)"|\bimport\("([^"]+)"\)/gm
  for (const [, typeOnly, plain, dynamic] of read(file).matchAll(statement)) {
    const specifier = plain ?? dynamic ?? ""
    if (!specifier.startsWith(".")) continue
    found.push({ from: file, to: normalize(join(dirname(file), specifier)), typeOnly: typeOnly !== undefined })
  }
  return found
}

const files = sources()
const imports = files.flatMap(importsOf)

test("every source file belongs to a room of the design", () => {
  expect(files.length).toBeGreaterThan(20)
  expect(files.filter((file) => rankOf(file) < 0)).toEqual([])
})

test("imports run downwards only", () => {
  const upwards = imports.filter(({ from, to, typeOnly }) => {
    if (!to.startsWith("src/") || roomOf(from) === roomOf(to)) return false
    if (rankOf(from) === rankOf(to)) return !typeOnly // config and observe know each other's types
    return rankOf(to) < rankOf(from)
  })
  expect(upwards.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test("a provider imports nothing from another provider", () => {
  const provider = (file: string) => /^src\/providers\/([^/]+)\//.exec(file)?.[1] ?? null
  const crossing = imports.filter(({ from, to }) => {
    const [own, other] = [provider(from), provider(to)]
    return own !== null && other !== null && own !== other
  })
  expect(crossing.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test("sources import nothing from tests or scripts", () => {
  const outside = imports.filter(({ to }) => !to.startsWith("src/") && to !== "package.json")
  expect(outside.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test("relative imports name the file with its extension", () => {
  const bare = imports.filter(({ to }) => !/\.(ts|json|sql)$/.test(to))
  expect(bare.map(({ from, to }) => `${from} -> ${to}`)).toEqual([])
})

test("every source file is used by another one", () => {
  const used = new Set(imports.map(({ to }) => to))
  const tools = ["src/main.ts", "src/store/drizzle.config.ts"]
  const unused = files.filter((file) => !used.has(file) && !tools.includes(file) && !file.endsWith(".d.ts"))
  expect(unused).toEqual([])
})

test("both providers have the same files for the same jobs", () => {
  const jobs = ["identity", "index", "models", "oauth", "request", "response", "routes", "upstream", "verdict"]
  for (const provider of ["geminicli", "codex"]) {
    const has = files.filter((file) => file.startsWith(`src/providers/${provider}/`)).map((file) => file.split("/")[3])
    expect(jobs.filter((job) => !has.includes(`${job}.ts`) && !has.includes(job))).toEqual([])
  }
})
