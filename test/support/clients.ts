/** Runs real clients as their users do: under Node, with an environment of their own, unable to reach beyond loopback. */
import { mkdtempSync } from "node:fs"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { type Captured, capture } from "../../scripts/lib/capture.ts"
import type { Running } from "./binary.ts"
import { freePort } from "./ports.ts"
import { type LaidDown, layDown, snippetOf } from "./snippets.ts"

const folder = resolve(import.meta.dir, "../clients")
const RUN_WITHIN = 90_000

export type Results = Readonly<Record<string, unknown>>

/** A folder of the client's own inside that of Pollux, removed with it. */
export function clientFolder(pollux: Running): string {
  return mkdtempSync(join(pollux.cwd, "client-"))
}

/**
 * Runs a script of `test/clients`, which is given the module that `pollux client SNIPPET` makes; what it prints.
 * @param scenarios names of those to run; none: all
 */
export async function runDriver(
  name: string,
  snippet: string,
  pollux: Running,
  scenarios: readonly string[] = [],
): Promise<Results> {
  const laid = layDown(await snippetOf(snippet, pollux), clientFolder(pollux))
  const { code, stdout, stderr } = await capture(["node", join(folder, `${name}.mjs`), ...scenarios], {
    cwd: laid.work,
    timeout: RUN_WITHIN,
    env: {
      ...(await fencedEnvironment(laid.home)),
      POLLUX_KEY: pollux.key,
      CLIENT_MODULE: pathToFileURL(join(laid.work, "pollux.mjs")).href,
    },
  })
  if (code !== 0) throw new Error(`${name}.mjs ended with code ${code}:\n${stderr}\n${stdout}`)
  const results: unknown = JSON.parse(stdout)
  if (typeof results !== "object" || results === null) throw new Error(`${name}.mjs printed no object: ${stdout}`)
  return { ...results }
}

/**
 * Types a line into the shell in which a snippet was typed before; the CLIs of the clients are on PATH.
 * @param args of the line, as "$1" and so on
 */
export async function runShell(laid: LaidDown, line: string, args: readonly string[] = []): Promise<Captured> {
  const env = await fencedEnvironment(laid.home)
  return capture(["sh", "-c", `${laid.shell}\n${line}`, "sh", ...args], {
    cwd: laid.work,
    timeout: RUN_WITHIN,
    env: { ...env, PATH: `${join(folder, "node_modules/.bin")}:${env.PATH}` },
  })
}

/**
 * An environment whose proxy settings point at a port where nobody listens, so that a client which calls out on
 * its own (the Codex CLI does) fails at once, while loopback stays open.
 */
async function fencedEnvironment(home: string): Promise<Record<string, string>> {
  const dead = `http://127.0.0.1:${await freePort()}`
  const loopback = "127.0.0.1,localhost"
  return {
    PATH: process.env.PATH ?? "",
    HOME: home,
    TERM: "dumb",
    LANG: "C.UTF-8",
    NO_COLOR: "1",
    HTTP_PROXY: dead,
    HTTPS_PROXY: dead,
    ALL_PROXY: dead,
    http_proxy: dead,
    https_proxy: dead,
    all_proxy: dead,
    NO_PROXY: loopback,
    no_proxy: loopback,
  }
}
