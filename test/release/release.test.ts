import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import manifest from "../../package.json"
import { type Captured, capture } from "../../scripts/lib/capture.ts"
import { formatOf } from "../../scripts/lib/release/format.ts"
import { tryOut } from "../../scripts/lib/release/try.ts"

const root = resolve(import.meta.dir, "../..")
const folder = mkdtempSync(join(tmpdir(), "pollux-release-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const own = `linux-${process.arch}`
const release = (...args: readonly string[]): Promise<Captured> =>
  capture([join(root, "scripts/release"), ...args], { cwd: folder })

test("a release is the executable, tried out, with its sums, its bill of materials, its licences and its sources", async () => {
  const out = join(folder, "out")
  const { code, output } = await release("--allow-dirty", "--out", out, own)
  expect(output).toContain("started, served, drained")
  expect(code).toBe(0)
  const stem = `pollux-${manifest.version}`
  expect(readdirSync(out).sort()).toEqual(
    [
      "LICENSE",
      "SHA256SUMS",
      `${stem}-${own}`,
      `${stem}-licences.txt`,
      `${stem}-source.tar.gz`,
      `${stem}.cdx.json`,
    ].sort(),
  )
  expect(statSync(join(out, `${stem}-${own}`)).mode & 0o111).toBe(0o111)
  const checked = await capture(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: out })
  expect(checked.code).toBe(0)
  expect(checked.stdout.match(/: OK$/gm)).toHaveLength(5)
  expect(JSON.parse(readFileSync(join(out, `${stem}.cdx.json`), "utf8"))).toHaveProperty("bomFormat", "CycloneDX")
  const listed = await capture(["tar", "-tzf", `${stem}-source.tar.gz`], { cwd: out })
  expect(listed.stdout.split("\n")).toContain(`${stem}/src/main.ts`)
}, 60_000)

test("a folder that holds something else is never emptied", async () => {
  const out = join(folder, "precious")
  mkdirSync(out)
  writeFileSync(join(out, "thesis.txt"), "x")
  const { code, stderr } = await release("--allow-dirty", "--out", out, own)
  expect(code).toBe(1)
  expect(stderr).toContain("holds something else than a release")
  expect(existsSync(join(out, "thesis.txt"))).toBe(true)
})

test("a system that it is not built for is named, with those that it is", async () => {
  const { code, stderr } = await release("--allow-dirty", "--out", join(folder, "none"), "linux-sparc")
  expect(code).toBe(1)
  expect(stderr).toContain('unknown system "linux-sparc"; known are linux-x64, linux-arm64')
  expect(existsSync(join(folder, "none"))).toBe(false)
})

test("an executable that does not do what it should fails the release", async () => {
  const fake = join(folder, "fake")
  const pretend = async (script: string) => {
    writeFileSync(fake, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return tryOut(fake, "1.0").then(
      () => "well",
      (error: unknown) => String(error),
    )
  }
  expect(await pretend("echo pollux 0.9")).toContain("--version says")
  expect(await pretend('[ "$1" = --version ] && echo pollux 1.0 || exit 3')).toContain("ended before it listened")
})

test("the kind of an executable is read from its first bytes", () => {
  const head = (bytes: Readonly<Record<number, readonly number[]>>, text = "") => {
    const buffer = new Uint8Array(512)
    for (const [at, values] of Object.entries(bytes)) buffer.set(values, Number(at))
    buffer.set(new TextEncoder().encode(text), 256)
    return buffer
  }
  const elf = [0x7f, 0x45, 0x4c, 0x46]
  expect(formatOf(head({ 0: elf, 18: [0x3e, 0] }, "/lib64/ld-linux-x86-64.so.2"))).toEqual({
    system: "linux",
    machine: "x64",
    libc: "glibc",
  })
  expect(formatOf(head({ 0: elf, 18: [0xb7, 0] }, "/lib/ld-musl-aarch64.so.1"))).toEqual({
    system: "linux",
    machine: "arm64",
    libc: "musl",
  })
  expect(formatOf(head({ 0: [0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1] }))).toMatchObject({
    system: "darwin",
    machine: "arm64",
  })
  expect(formatOf(head({ 0: [0x4d, 0x5a], 60: [0x80], 128: [0x50, 0x45, 0, 0, 0x64, 0x86] }))).toMatchObject({
    system: "windows",
    machine: "x64",
  })
  for (const other of [head({}), head({ 0: elf, 18: [2, 0] }), head({ 0: [0x4d, 0x5a], 60: [0xff, 0xff] })]) {
    expect(formatOf(other)).toBeNull()
  }
})
