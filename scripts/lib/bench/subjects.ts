/** What is measured: each subject as a process that answers on a port of its own. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Form } from "./forms.ts"
import { nginxConfig } from "./nginx.ts"
import { stockPool } from "./pool.ts"
import { freePort, Pinned, untilListening } from "./processes.ts"

export type SubjectName = "direct" | "nginx" | Form | "geminicli" | "codex"

/** How the subject reaches the upstream. */
export type Transport = "http" | "tls-h1" | "tls-h2"

/** Which of the fake upstream's two APIs is spoken. */
export type Api = "geminicli" | "codex"

export interface Place {
  readonly root: string
  readonly folder: string
  readonly executable: string
  readonly cpus: string | null
  /** Origins of the fake upstream. */
  readonly plain: { readonly url: string; readonly port: number }
  readonly tls: { readonly url: string; readonly certificate: string }
}

export interface Subject extends AsyncDisposable {
  readonly name: SubjectName
  readonly port: number
  /** Null for `direct`. */
  readonly process: Pinned | null
  /** Where it writes its log. */
  readonly log: string
}

export const KEY = "bench-key-0123456789"
export const MODEL: Readonly<Record<Api, string>> = { geminicli: "gemini-2.5-pro", codex: "gpt-5.2-codex" }

/** Simultaneous requests of the runtime's fetch; Pollux sets it for itself. */
const WIDE = { BUN_CONFIG_MAX_HTTP_REQUESTS: "65535" }

let count = 0

/** Starts a subject; it answers when this resolves. `credentials` are Pollux's, of each provider. */
export async function startSubject(
  place: Place,
  name: SubjectName,
  transport: Transport,
  credentials = 100,
): Promise<Subject> {
  const upstream = transport === "http" ? place.plain.url : place.tls.url
  if (name === "direct") {
    return { name, port: place.plain.port, process: null, log: "", [Symbol.asyncDispose]: async () => {} }
  }
  const cwd = join(place.folder, `${name}-${transport}-${++count}`)
  mkdirSync(cwd, { recursive: true })
  const port = await freePort()
  const log = join(cwd, "log")
  const env = { NODE_EXTRA_CA_CERTS: place.tls.certificate }
  const start = (command: readonly string[], more: Record<string, string> = {}): Pinned =>
    Pinned.start(command, { cpus: place.cpus, cwd, env: { ...env, ...more }, log })
  let process: Pinned
  if (name === "nginx") {
    const config = join(cwd, "nginx.conf")
    writeFileSync(config, nginxConfig({ folder: cwd, port, upstream, tls: null }))
    process = start(["nginx", "-p", cwd, "-c", config])
  } else if (name === "geminicli" || name === "codex") {
    writeFileSync(join(cwd, "config.toml"), polluxConfig(port, upstream, transport === "tls-h2"))
    if (credentials > 0) stockPool(join(cwd, "data.db"), credentials)
    process = start([place.executable])
  } else {
    const version = transport === "tls-h2" ? "http2" : "http1.1"
    const program = join(place.root, "scripts/lib/bench/bare.ts")
    process = start([globalThis.process.execPath, program, name, String(port), upstream, version], WIDE)
  }
  await untilListening(port, `${name} (${transport})`, process)
  return { name, port, process, log, [Symbol.asyncDispose]: () => process[Symbol.asyncDispose]() }
}

export function polluxConfig(port: number, upstream: string, multiplexing: boolean): string {
  return `[basic]
listen_addr = "127.0.0.1"
listen_port = ${port}
pollux_key = "${KEY}"

[providers.defaults]
enable_multiplexing = ${multiplexing}

[providers.geminicli]
api_url = "${upstream}"
model_list = ["${MODEL.geminicli}"]

[providers.codex]
api_url = "${upstream}"
model_list = ["${MODEL.codex}"]
`
}
