/** Runs real clients as their users do: under Node, with an environment of their own, unable to reach beyond loopback. */
import { mkdirSync } from "node:fs"
import { join, resolve } from "node:path"
import { type Captured, capture } from "../../scripts/lib/capture.ts"
import type { Running } from "./binary.ts"
import { freePort } from "./ports.ts"

const folder = resolve(import.meta.dir, "../clients")
const RUN_WITHIN = 90_000

export type Results = Readonly<Record<string, unknown>>

/**
 * Runs a script of `test/clients`; what it prints.
 * @param scenarios names of those to run; none: all
 */
export async function runDriver(name: string, pollux: Running, scenarios: readonly string[] = []): Promise<Results> {
  const env = await fencedEnvironment(join(pollux.cwd, "client-home"))
  const { code, stdout, stderr } = await node([join(folder, `${name}.mjs`), ...scenarios], folder, {
    ...env,
    POLLUX_URL: pollux.url,
    POLLUX_KEY: pollux.key,
  })
  if (code !== 0) throw new Error(`${name}.mjs ended with code ${code}:\n${stderr}\n${stdout}`)
  const results: unknown = JSON.parse(stdout)
  if (typeof results !== "object" || results === null) throw new Error(`${name}.mjs printed no object: ${stdout}`)
  return { ...results }
}

/** Runs a CLI of `test/clients/node_modules/.bin`. `cwd` should be an empty folder of the test's own. */
export async function runCli(
  name: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly home: string; readonly env: Readonly<Record<string, string>> },
): Promise<Captured> {
  const env = await fencedEnvironment(options.home)
  return node([join(folder, "node_modules/.bin", name), ...args], options.cwd, { ...env, ...options.env })
}

function node(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Promise<Captured> {
  mkdirSync(cwd, { recursive: true })
  return capture(["node", ...args], { cwd, env, timeout: RUN_WITHIN })
}

/**
 * An environment whose proxy settings point at a port where nobody listens, so that a client which calls out on
 * its own (the Codex CLI does) fails at once, while loopback stays open.
 */
async function fencedEnvironment(home: string): Promise<Record<string, string>> {
  mkdirSync(home, { recursive: true })
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
