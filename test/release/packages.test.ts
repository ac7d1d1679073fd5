import { describe, expect, test } from "bun:test"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { COMPATIBLE, isCompatible, licenceText, thirdPartyLicences } from "../../scripts/lib/release/licences.ts"
import { parseLock, productionPackages, productionPlaces } from "../../scripts/lib/release/packages.ts"

const root = resolve(import.meta.dir, "../..")
const read = (file: string) => readFileSync(join(root, file), "utf8")
const lock = parseLock(read("bun.lock"))
const packages = productionPackages(root)

describe("what the executable is made of", () => {
  test("has licences that may be in a work under AGPL-3.0", () => {
    expect(packages.length).toBeGreaterThan(20)
    expect(
      packages.filter(({ license }) => !isCompatible(license)).map(({ name, license }) => `${name}: ${license}`),
    ).toEqual([])
  })

  test("needs no install script", () => {
    expect(packages.filter(({ scripts }) => scripts.length > 0).map(({ name }) => name)).toEqual([])
    expect(JSON.parse(read("package.json"))).not.toHaveProperty("trustedDependencies")
    expect(read("scripts/lib/bun.sh")).toContain("install --frozen-lockfile --ignore-scripts")
  })

  test("comes from the registry, each archive pinned by its SHA-512", () => {
    const loose = [...lock.entries.values()].filter(
      ({ spec, sha512 }) => !/^(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+(-[\w.]+)?$/.test(spec) || sha512?.length !== 88,
    )
    expect(loose.map(({ spec }) => spec)).toEqual([])
  })

  test("is what package.json asks for, so that the frozen lock file installs", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pollux-lock-"))
    try {
      for (const file of ["package.json", "bun.lock", "bunfig.toml"]) cpSync(join(root, file), join(folder, file))
      const install = [process.execPath, "install", "--frozen-lockfile", "--ignore-scripts", "--dry-run"]
      expect((await capture(install, { cwd: folder })).code).toBe(0)
      const changed = read("package.json").replace(/\n *"jose": .*/, "")
      writeFileSync(join(folder, "package.json"), changed)
      expect((await capture(install, { cwd: folder })).output).toContain("lockfile is frozen")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test("goes with the text of every licence", () => {
    const text = thirdPartyLicences(root, packages)
    const titles = packages.map(({ name, version, license }) => `\n${name} ${version} (${license})\n`)
    const own = packages.flatMap((one) => licenceText(root, one) ?? [])
    expect(own.length).toBeGreaterThan(20)
    const parts = [...titles, ...own, `Bun ${Bun.version}, the runtime`, "JavaScriptCore"]
    expect(parts.filter((part) => !text.includes(part))).toEqual([])
    expect(/Copyright \(c\) HOLDER/.test(text)).toBe(false)
  })
})

test("a licence counts only if one of its choices is known in all its parts", () => {
  for (const good of ["MIT", "(MIT OR GPL-2.0-only)", "GPL-2.0-only OR Apache-2.0", "MIT AND ISC"]) {
    expect(isCompatible(good)).toBe(true)
  }
  for (const bad of [
    "",
    "GPL-2.0-only",
    "SSPL-1.0",
    "UNLICENSED",
    "SEE LICENSE IN x",
    "MIT AND SSPL-1.0",
    "mit",
    "Proprietary",
  ]) {
    expect(isCompatible(bad)).toBe(false)
  }
  expect(COMPATIBLE.has("GPL-2.0-only")).toBe(false)
})

describe("the lock file's packages", () => {
  const entry = (spec: string, about: object = {}) => [spec, "", about, `sha512-${"a".repeat(88)}`]
  const made = (dependencies: object, entries: object) =>
    parseLock(JSON.stringify({ workspaces: { "": { dependencies } }, packages: entries }))

  test("are followed to those that lie inside another one first, through peers and what is optional", () => {
    const found = made(
      { a: "1", "@s/b": "1" },
      {
        a: entry("a@1.0.0", { dependencies: { c: "1" }, optionalDependencies: { d: "1", gone: "1" } }),
        "a/c": entry("c@1.0.0", { dependencies: { e: "1" } }),
        "@s/b": entry("@s/b@1.0.0", {
          dependencies: { c: "2" },
          peerDependencies: { p: "1", q: "1" },
          optionalPeers: ["q"],
        }),
        c: entry("c@2.0.0"),
        d: entry("d@1.0.0", { dependencies: { a: "1" } }),
        e: entry("e@1.0.0"),
        p: entry("p@1.0.0"),
        q: entry("q@1.0.0"),
        dev: entry("dev@1.0.0"),
      },
    )
    expect(productionPlaces(found)).toEqual(["@s/b", "a", "a/c", "c", "d", "e", "p"])
  })

  test("that are missing are named", () => {
    expect(() => productionPlaces(made({ a: "1" }, {}))).toThrow("a, which the project needs, is not in it")
    const broken = made({ a: "1" }, { a: entry("a@1.0.0", { dependencies: { b: "1" } }) })
    expect(() => productionPlaces(broken)).toThrow("b, which a needs, is not in it")
  })

  test("that are installed in another version are named", () => {
    const folder = mkdtempSync(join(tmpdir(), "pollux-packages-"))
    try {
      const text = { workspaces: { "": { dependencies: { a: "1" } } }, packages: { a: entry("a@1.0.0") } }
      mkdirSync(join(folder, "node_modules/a"), { recursive: true })
      writeFileSync(join(folder, "bun.lock"), JSON.stringify(text))
      writeFileSync(join(folder, "node_modules/a/package.json"), '{"version":"1.0.1"}')
      expect(() => productionPackages(folder)).toThrow("node_modules/a is version 1.0.1, bun.lock says 1.0.0")
      writeFileSync(
        join(folder, "node_modules/a/package.json"),
        '{"version":"1.0.0","license":"X-1","author":{"name":"N"}}',
      )
      expect(productionPackages(folder)).toMatchObject([{ name: "a", license: "X-1", author: "N" }])
      expect(() => thirdPartyLicences(folder, productionPackages(folder))).toThrow("a has no licence file")
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
