/** What a start loads: everything that is imported statically is read, decoded and run before the port opens. */
import { expect, test } from "bun:test"
import { dirname, join, normalize } from "node:path"
import { read } from "./tree.ts"

interface Graph {
  readonly files: ReadonlySet<string>
  readonly packages: ReadonlySet<string>
}

/** Files and packages that `entry` cannot do without, found by its static imports; those of types alone are gone when it runs. */
function graphOf(entry: string): Graph {
  const files = new Set<string>()
  const packages = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    if (!file.endsWith(".ts")) return
    const statement = /^\s*(?:import|export)\s+(?!type\s)(?:([^"';()]*?)\s+from\s+)?"([^"]+)"/gm
    for (const [, names, specifier = ""] of read(file).matchAll(statement)) {
      if (names !== undefined && /^\{(?:\s*type\s[^,}]+,?)*\s*\}$/.test(names)) continue
      if (specifier.startsWith(".")) visit(normalize(join(dirname(file), specifier)))
      else packages.add(specifier)
    }
  }
  visit(entry)
  return { files, packages }
}

test("the image that is replaced at once loads nothing but what replaces it", () => {
  const { files, packages } = graphOf("src/main.ts")
  expect([...files].sort()).toEqual(["src/cli/request-limit.ts", "src/main.ts"])
  expect([...packages]).toEqual([])
})

test("a command line is read without the server, and without the other commands", () => {
  const { files, packages } = graphOf("src/cli/run.ts")
  expect([...files].filter((file) => !/^src\/(cli|config|observe)\//.test(file))).toEqual([])
  expect(files.has("src/cli/serving.ts") || files.has("src/cli/commands.ts")).toBe(false)
  expect([...packages].filter((name) => !name.startsWith("node:"))).toEqual([])
})

test("the server's start loads no command, and no library that only some requests need", () => {
  const { files, packages } = graphOf("src/cli/serving.ts")
  expect(files.has("src/app.ts")).toBe(true)
  expect(files.has("src/cli/commands.ts")).toBe(false)
  const later = ["prom-client", "rate-limiter-flexible", "cli-table3", "node:zlib", "node:readline/promises", "bun:ffi"]
  expect(later.filter((name) => packages.has(name))).toEqual([])
})
