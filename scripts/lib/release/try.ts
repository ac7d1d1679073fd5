/** Starts a finished executable as a person would, and has it do the least that it is for. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { capture } from "../capture.ts"

const START_MS = 15_000
const STOP_MS = 15_000

/** @throws Error saying what it did not do */
export async function tryOut(executable: string, version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pollux-release-"))
  const env = { PATH: process.env.PATH, HOME: folder }
  const told = (what: string) => new Error(`${executable}: ${what}`)
  try {
    const said = await capture([executable, "--version"], { cwd: folder, env, timeout: START_MS })
    if (said.stdout !== `pollux ${version}\n`) throw told(`--version says ${JSON.stringify(said.output)}`)

    const key = Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("base64url")
    const config = `[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\npollux_key = "${key}"\n`
    writeFileSync(join(folder, "config.toml"), config, { mode: 0o600 })
    const child = Bun.spawn([executable], { cwd: folder, env, stdin: "ignore", stdout: "pipe", stderr: "inherit" })
    const late = setTimeout(() => child.kill("SIGKILL"), START_MS + STOP_MS)
    try {
      const url = await addressOf(child.stdout)
      if (url === null) throw told("it ended before it listened")
      const models = await fetch(`${url}/codex/v1/models`, { headers: { authorization: `Bearer ${key}` } })
      if (models.status !== 200 || !(await models.text()).includes("gpt-5.2-codex")) throw told("it lists no models")
      const refused = await fetch(`${url}/codex/v1/models`)
      if (refused.status !== 401) throw told(`without a key it answers ${refused.status}`)
      child.kill("SIGTERM")
      const code = await child.exited
      if (code !== 0) throw told(`asked to stop it ended with code ${code}`)
    } finally {
      clearTimeout(late)
      child.kill("SIGKILL")
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Where it listens, from its log; null when that ends without. The rest of the log is read and dropped, so that it never waits. */
async function addressOf(log: ReadableStream<Uint8Array>): Promise<string | null> {
  const reader = log.getReader()
  const decoder = new TextDecoder()
  let text = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return null
    text += decoder.decode(value, { stream: true })
    const url = /"listening","url":"([^"]+)"/.exec(text)?.[1]
    if (url !== undefined) {
      void drain(reader)
      return url
    }
  }
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done) {
    // Only so that the pipe has room.
  }
}
