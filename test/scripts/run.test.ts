/** `scripts/run` in a copy of the project, as after a clone. */
import { afterAll, expect, test } from "bun:test"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { freshKey } from "../support/secrets.ts"
import { until } from "../support/wait.ts"

const project = resolve(import.meta.dir, "../..")
const copy = mkdtempSync(join(tmpdir(), "pollux-run-"))
afterAll(() => rmSync(copy, { recursive: true, force: true }))

for (const name of ["src", "scripts", "package.json", "bun.lock", "bunfig.toml", "tsconfig.json"]) {
  cpSync(join(project, name), join(copy, name), { recursive: true })
}
// Installed already, so that the test needs no registry.
symlinkSync(join(project, "node_modules"), join(copy, "node_modules"))
mkdirSync(join(copy, ".tmp"))
writeFileSync(join(copy, ".tmp/installed"), "")

test("it builds, starts Pollux with the configuration that is there, names the next steps, and ends with it", async () => {
  const key = freshKey()
  writeFileSync(
    join(copy, "config.toml"),
    `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\npollux_key = "${key}"\n`,
  )
  const ran = Bun.spawn([join(copy, "scripts/run")], { cwd: tmpdir(), stdout: "pipe", stderr: "pipe", stdin: "ignore" })
  const stdout = listen(ran.stdout)
  const stderr = new Response(ran.stderr).text()
  try {
    const url = await until("Pollux listens", () => /"listening".*?(http:\/\/[\d.:]+)/.exec(stdout.text)?.[1], 30_000)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    ran.kill("SIGTERM")
    await until("Pollux ends", () => ran.exitCode !== null || ran.signalCode !== null).catch(() => {
      throw new Error(`Pollux did not end after SIGTERM:\n${stdout.text}`)
    })
    expect(ran.exitCode).toBe(0)
    const said = await stderr
    expect(said).toContain("Building dist/pollux")
    expect(said).toContain("dist/pollux login geminicli")
    expect(said).not.toContain(key)
  } finally {
    ran.kill("SIGKILL")
  }
})

test("its arguments are those of the executable", async () => {
  const ran = Bun.spawnSync([join(copy, "scripts/run"), "init", "--config", "made.toml"], { cwd: copy })
  expect(ran.exitCode).toBe(0)
  expect(await Bun.file(join(copy, "made.toml")).text()).toContain("pollux_key")
})

test("--help tells what it does, and does nothing", () => {
  const ran = Bun.spawnSync([join(copy, "scripts/run"), "--help"], { cwd: copy })
  expect(ran.exitCode).toBe(0)
  expect(ran.stdout.toString()).toStartWith("Usage: scripts/run")
})

/** What the stream has brought so far. */
function listen(stream: ReadableStream<Uint8Array>): { readonly text: string } {
  const heard = { text: "" }
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) heard.text += decoder.decode(chunk, { stream: true })
  }
  void read()
  return heard
}
