import { afterAll, beforeAll, expect, test } from "bun:test"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { boxed } from "../support/boxed.ts"
import { buildStage } from "../support/dockerfile.ts"
import { freePort } from "../support/ports.ts"
import { freshKey } from "../support/secrets.ts"
import { until, within } from "../support/wait.ts"

const USER = 65532
let folder: string
/** What the image would hold, and the C library of its base. */
let image: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pollux-image-"))
  const stage = join(folder, "stage")
  mkdirSync(stage)
  await buildStage(stage, { POLLUX_REVISION: "0123456789ab", TARGETARCH: process.arch === "x64" ? "amd64" : "arm64" })
  image = join(folder, "image")
  for (const part of ["image", "data"]) cpSync(join(stage, part), image, { recursive: true, preserveTimestamps: true })
  const { stdout } = await capture(["ldd", join(image, "usr/local/bin/pollux")], { cwd: folder })
  for (const [library] of stdout.matchAll(/\/\S+/g)) {
    mkdirSync(join(image, dirname(library)), { recursive: true })
    cpSync(library, join(image, library), { dereference: true })
  }
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test("the image holds the executable, its licence, a folder for data, and nothing else of ours", () => {
  const files = readdirSync(image, { recursive: true, withFileTypes: true })
  const names = files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(image.length))
  const libraries = /^\/lib(64)?\//
  expect(names.filter((name) => !libraries.test(name)).sort()).toEqual([
    "/usr/local/bin/pollux",
    "/usr/share/doc/pollux/LICENSE",
  ])
  // The base has the C library and nothing above it.
  const known = /^(ld-linux|lib(c|m|dl|rt|pthread))[.-]/
  expect(names.filter((name) => libraries.test(name) && !known.test(name.slice(name.lastIndexOf("/") + 1)))).toEqual([])
  expect(statSync(join(image, "app/data")).mode & 0o777).toBe(0o700)
})

test("in a read-only root, as its own user and the first process, it serves, is healthy, keeps its data in the volume and drains", async () => {
  const port = await freePort()
  const key = freshKey()
  const config = join(image, "app/config.toml")
  writeFileSync(config, `[basic]\nlisten_addr = "0.0.0.0"\nlisten_port = ${port}\npollux_key = "${key}"\n`, {
    mode: 0o600,
  })
  const box = {
    root: image,
    folder: "/app/data",
    user: USER,
    writable: "/app/data",
    owned: ["/app/data", "/app/config.toml"],
  }
  const env = { POLLUX_CONFIG: "/app/config.toml" }

  const server = boxed(box, env, ["/usr/local/bin/pollux"])
  try {
    const ready = await until("it answers", async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { headers: { "x-goog-api-key": key } })
      return answer.status === 200 ? answer : null
    })
    expect(await ready.json()).toEqual({ ready: true, reasons: [] })
    const asked = boxed(box, env, ["/usr/local/bin/pollux", "health", "--ready"])
    expect(await within("health ends", asked.exited)).toBe(0)

    const limits = readFileSync(`/proc/${await server.inner()}/status`, "utf8")
    if (process.getuid?.() === 0) expect(limits).toMatch(new RegExp(`^Uid:\\s+${USER}\\s`, "m"))
    expect(limits).toMatch(/^NSpid:\s+\d+\s+1$/m)

    process.kill(await server.inner(), "SIGTERM")
    expect(await within("it ends", server.exited)).toBe(0)
    expect(await server.output()).toContain('"stopped"')
    expect(existsSync(join(image, "app/data/data.db"))).toBe(true)
    expect(readdirSync(join(image, "app")).sort()).toEqual(["config.toml", "data"])
  } finally {
    server.kill()
  }
})

test("it tells the commit that it was built from", async () => {
  const box = { root: image, folder: "/", user: USER, writable: "/app/data", owned: [] }
  const ran = boxed(box, {}, ["/usr/local/bin/pollux", "--version"])
  expect(await within("it ends", ran.exited)).toBe(0)
  expect(await ran.output()).toMatch(/^pollux \d+\.\d+\.\d+\+0123456789ab\n$/)
})
