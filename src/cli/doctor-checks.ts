/** What the doctor looks at. Every check answers, whatever happens to it; none changes anything. */
import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { Type } from "@sinclair/typebox"
import type { Config, ProviderSettings } from "../config/types.ts"
import { Listener } from "../http/listener.ts"
import { PortError } from "../http/port-error.ts"
import { systemClock, systemTimers } from "../observe/clock.ts"
import { escapeControls } from "../observe/escape.ts"
import {
  clockFinding,
  credentialFinding,
  diskFinding,
  type Finding,
  fail,
  failureText,
  modeFinding,
  ok,
  shownUrl,
  warn,
} from "./doctor-rules.ts"
import { type Server, ServerError } from "./server.ts"
import { ListShape, PROVIDERS } from "./shapes.ts"

/** Longest wait for one answer, in milliseconds. */
const ANSWER_MS = 5_000

/**
 * The database, the files beside it, and the room for them.
 * @param runs whether the server does: then a database that is not here is somewhere else
 */
export function checkDatabase(config: Config, cwd: string, runs: boolean): readonly Finding[] {
  const path = resolve(cwd, config.basic.databasePath)
  const folder = dirname(path)
  if (runs && !existsSync(path)) {
    const says = `the server runs, but not with ${path}: its database and disk are not looked at`
    return [warn("database", says, "run this in the server's working directory (of the service: /var/lib/pollux)")]
  }
  try {
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch {
    const says = existsSync(folder) ? `this user may not write in ${folder}` : `the folder ${folder} does not exist`
    return [fail("database", says, "create it, or give it to the user that the server runs as")]
  }
  const present = [path, `${path}-wal`, `${path}-shm`, `${path}.lock`].filter((file) => existsSync(file))
  const modes =
    process.platform === "win32" ? [] : present.map((file) => modeFinding("database", file, statSync(file).mode))
  const wide = modes.filter(({ state }) => state !== "ok")
  const room = statfsSync(folder)
  return [
    ...(present.length === 0 ? [ok("database", `${path} is not there yet; the first start makes it`)] : []),
    ...(wide.length > 0 ? wide : modes.slice(0, 1)),
    diskFinding(folder, room.bavail * room.bsize),
  ]
}

/** What is at the server's address. */
export type Presence = "pollux" | "nothing" | "other"

/** Whether Pollux answers there; `findings` are for people. */
export async function checkServer(
  url: string,
  local: Config | null,
): Promise<{ readonly presence: Presence; readonly findings: readonly Finding[] }> {
  try {
    const response = await fetch(`${url}/healthz`, {
      redirect: "manual",
      proxy: false,
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const text = (await response.text()).trim()
    if (response.status === 200 && text === "ok") {
      return { presence: "pollux", findings: [ok("server", `answers at ${url}`), ...clock(response, "the server")] }
    }
    const cure = "stop that program, or set another basic.listen_port"
    return {
      presence: "other",
      findings: [fail("server", `something else answers at ${url} (status ${response.status})`, cure)],
    }
  } catch (error) {
    if (local === null) {
      const cure = "start it, or name another with --server"
      return {
        presence: "nothing",
        findings: [fail("server", `does not answer at ${url}: ${failureText(error)}`, cure)],
      }
    }
    return { presence: "nothing", findings: [await freePort(local)] }
  }
}

/** Whether the server could listen: it is tried for a moment. */
async function freePort({ basic }: Config): Promise<Finding> {
  const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, child: () => silent }
  const handle = () => new Response(null, { status: 503 })
  const listener = new Listener({
    clock: systemClock,
    timers: systemTimers,
    log: silent,
    handle,
    refused: () => undefined,
  })
  try {
    const { port } = listener.listen(basic.listenAddr, basic.listenPort)
    await listener.stop(true)
    return warn(
      "server",
      `does not run; port ${port} is free for it`,
      "start it with `pollux`; what it knows is not checked now",
    )
  } catch (error) {
    const says = error instanceof PortError ? error.message : failureText(error)
    return fail("server", `does not run and could not: ${says}`, null)
  }
}

const ReadyShape = Type.Object({
  ready: Type.Optional(Type.Boolean()),
  reasons: Type.Optional(Type.Array(Type.String())),
})

/** The key, readiness and the credentials, as the running server tells them. */
export async function checkRunning(server: Server): Promise<readonly Finding[]> {
  try {
    const { ready, reasons } = await server.get("/readyz", ReadyShape, { timeoutMs: ANSWER_MS, also: [503] })
    const why = reasons?.map(escapeControls).join("; ") ?? "it is stopping"
    const findings = [
      ok("key", "opens the server"),
      ready === true ? ok("ready", "it takes requests") : fail("ready", `it takes none: ${why}`, "see its log"),
    ]
    if (ready === undefined) return findings
    const lists = await Promise.all(
      PROVIDERS.map((provider) => server.get(`/${provider}/resource:list`, ListShape, { timeoutMs: ANSWER_MS })),
    )
    const used = lists.filter(({ credentials }) => credentials.length > 0)
    // Who uses one provider needs no advice about the other.
    return [...findings, ...(used.length > 0 ? used : lists).map(credentialFinding)]
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    const cure = error.status === 401 ? "name the configuration that it runs with, or restart it" : null
    return [
      fail(
        error.status === 401 || error.status === 403 ? "key" : "server",
        error.message.replace(/^pollux: /, ""),
        cure,
      ),
    ]
  }
}

/** Both ends of a provider, its API and its token endpoint, by the way that requests take. An unreachable one is no failure: a machine may be offline for a while. */
export async function checkUpstream(name: string, settings: ProviderSettings): Promise<readonly Finding[]> {
  const origins = [...new Set([settings.apiUrl, settings.tokenUrl].map((url) => new URL(url).origin))]
  const found = await Promise.all(origins.map((origin) => reach(`upstream of ${name}`, origin, settings.proxy)))
  return found.flat()
}

async function reach(check: string, origin: string, proxy: string | null): Promise<readonly Finding[]> {
  const by = proxy === null ? "" : ` through the proxy ${shownUrl(proxy)}`
  const began = performance.now()
  try {
    const response = await fetch(origin, {
      method: "HEAD",
      redirect: "manual",
      proxy: proxy ?? false,
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    const ms = Math.round(performance.now() - began)
    if (response.status === 407) {
      return [
        fail(
          check,
          `the proxy ${shownUrl(proxy ?? "")} wants another user name or password`,
          "set both in the proxy's URL",
        ),
      ]
    }
    return [ok(check, `${origin} answers${by} (${ms} ms)`), ...clock(response, origin)]
  } catch (error) {
    const cure =
      proxy === null
        ? "check the network; behind a proxy, set providers.defaults.proxy"
        : "check the proxy and the network"
    return [warn(check, `${origin} is out of reach${by}: ${failureText(error)}`, cure)]
  }
}

/** @param whose the other clock's owner; nothing is found where it sends no date */
function clock(response: Response, whose: string): readonly Finding[] {
  const sent = Date.parse(response.headers.get("date") ?? "")
  return Number.isNaN(sent) ? [] : [clockFinding(whose, Date.now() - sent)]
}

/** Proxy variables of the environment, which the server leaves alone. */
export function checkEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  config: Config,
): readonly Finding[] {
  const set = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].filter((name) => (env[name] ?? "") !== "")
  const unused = Object.entries(config.providers).filter(([, { proxy }]) => proxy === null)
  if (set.length === 0 || unused.length === 0) return []
  const names = unused.map(([name]) => name).join(" and ")
  return [
    warn(
      "proxy",
      `${set[0]} is set, but only the configuration counts, and it names no proxy for ${names}`,
      "set providers.defaults.proxy, if requests should go through it",
    ),
  ]
}
