/** A login that the person's browser finishes: begun at the server, received here or there, or pasted by hand. */
import { isLoopback } from "../config/address.ts"
import { parsePasted, parseReturned, type Returned } from "../http/redirect.ts"
import type { Timers } from "../observe/clock.ts"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { type Desktop, openBrowser, overSsh, tunnelHint } from "./browser.ts"
import { CallbackPort, type Told } from "./callback.ts"
import type { Io } from "./command.ts"
import { awaitLogin } from "./login-wait.ts"
import { type Server, ServerError } from "./server.ts"
import { BegunShape, LoginShape, type LoginState, type ProviderName } from "./shapes.ts"

/** Silence after which a person on a terminal is offered to paste the address, in milliseconds. */
const OFFER_MS = 15_000

/** How long the server takes to finish a login, in milliseconds; a bit more than it waits by itself. */
const FINISH_MS = 75_000

/** Ports of loopback that the provider's authorization server sends browsers to; none: any. */
const FIXED_PORTS: Readonly<Record<ProviderName, readonly number[]>> = { geminicli: [], codex: [1455, 1457] }

export interface BrowserLogin {
  readonly provider: ProviderName
  readonly server: Server
  readonly io: Io
  readonly desktop: Desktop
  readonly timers: Timers
  readonly project: string | null
  /** The address is pasted; nothing listens here. */
  readonly paste: boolean
  /** Whether the browser may be opened. */
  readonly browser: boolean
}

/** @throws ServerError */
export async function browserLogin(login: BrowserLogin): Promise<LoginState> {
  const { provider, server, project } = login
  const port = login.paste ? null : ownPort(provider, server)
  try {
    const begun = await server.post(
      `/${provider}/login`,
      { ...(project === null ? {} : { project_id: project }), ...(port === null ? {} : { redirect_port: port.port }) },
      BegunShape,
    )
    if (!URL.canParse(begun.url) || !URL.canParse(begun.redirect_uri)) {
      throw new ServerError(`pollux: what answers at ${server.url} began no login`, EXIT.unavailable)
    }
    const redirect = new URL(begun.redirect_uri)
    const state = new URL(begun.url).searchParams.get("state")
    const finish = (url: string) =>
      server.post(`/${provider}/login:finish`, { url }, LoginShape, { timeoutMs: FINISH_MS })
    port?.expect(redirect.pathname, (url) => received(url, state, finish))
    // Asked before it is said that this waits, so that a server that stops right then has somebody to tell.
    const outcome = awaitLogin({ server, provider, id: begun.id, timers: login.timers })
    outcome.catch(() => undefined)
    invite(login, begun.url, redirect)
    if (port === null && !login.paste && !isLoopback(new URL(server.url).hostname)) {
      login.io.err(
        `Port ${redirect.port} is taken on this machine, so the browser cannot come back: begin anew with --paste.\n`,
      )
    }

    const over = new AbortController()
    const asking = askForAddress(login, state, finish, over.signal)
    try {
      // Without an address nothing can come any more; as long as one may, the server's word decides.
      const gaveUp = asking.then((given): Promise<LoginState> | LoginState =>
        given || !login.paste
          ? outcome
          : { id: begun.id, status: "failed", reason: "NO_ADDRESS", message: "no address was pasted" },
      )
      return await Promise.race([outcome, gaveUp])
    } finally {
      over.abort()
    }
  } finally {
    await port?.close()
  }
}

/**
 * The port on which this command receives the browser. A server on this machine with a port of its own for it needs no help;
 * one elsewhere does, and so does one that may run in a container, whose other ports are not reachable from here.
 */
function ownPort(provider: ProviderName, server: Server): CallbackPort | null {
  const fixed = FIXED_PORTS[provider]
  if (fixed.length > 0) return CallbackPort.open(fixed)
  return isLoopback(new URL(server.url).hostname) ? null : CallbackPort.open([0])
}

function invite({ io, desktop, browser, paste, provider }: BrowserLogin, url: string, redirect: URL): void {
  io.err(`Log in to ${provider} here:\n\n  ${escapeControls(url)}\n\n`)
  const opened = browser && io.interactive && openBrowser(url, desktop)
  if (opened) io.err("The browser should be open now.\n")
  if (paste) {
    io.err(
      `At the end the browser shows an address that begins with ${escapeControls(redirect.origin)}, and perhaps an error page.\n`,
    )
    return
  }
  if (overSsh(desktop.env)) {
    const tunnel = tunnelHint(desktop.env.SSH_CONNECTION, Number(redirect.port))
    const how = tunnel === null ? "" : `, run this on the machine with the browser first:\n\n  ${tunnel}\n\n`
    io.err(`You are here over SSH: so that the browser finds its way back${how === "" ? ", forward the port" : how}`)
    io.err("or begin anew with --paste (codex: --device).\n")
  }
  io.err("Waiting for the login...\n")
}

/** The browser came back to this command. Only this login's own state is handed on: nobody else's account gets in this way. */
async function received(url: URL, state: string | null, finish: (url: string) => Promise<LoginState>): Promise<Told> {
  const returned = parseReturned(url.searchParams)
  if (!belongs(returned, state)) {
    return {
      status: 403,
      title: "The login was not finished",
      lines: ["This address belongs to no login that waits here."],
    }
  }
  try {
    const { status, message } = await finish(url.href)
    if (status === "failed") return { status: 403, title: "That did not work", lines: [message ?? "The login failed."] }
    const lines = status === "done" ? [] : ["The account is still being set up."]
    return { status: 202, title: "Success", lines: [...lines, "You can close this page."] }
  } catch (error) {
    const why = error instanceof ServerError ? (error.said ?? "Pollux does not answer.") : "Pollux does not answer."
    return { status: 403, title: "That did not work", lines: [why, "The terminal tells more."] }
  }
}

function belongs(returned: Returned, state: string | null): boolean {
  return returned.kind !== "invalid" && state !== null && returned.state === state
}

/** Takes the address by hand: at once with --paste, after a while on a terminal. True when one was handed on. */
async function askForAddress(
  { io, paste, timers }: BrowserLogin,
  state: string | null,
  finish: (url: string) => Promise<LoginState>,
  over: AbortSignal,
): Promise<boolean> {
  if (!paste) {
    if (!io.interactive) return false
    await new Promise<void>((resolve) => {
      const cancel = timers.after(OFFER_MS, resolve)
      over.addEventListener("abort", () => {
        cancel()
        resolve()
      })
    })
    if (over.aborted) return false
    io.err("\nNothing came back so far. If the browser shows an error page, paste its address here.\n")
  }
  for (;;) {
    const line = await io.readLine("Address: ", over)
    if (over.aborted) io.err("\n")
    if (line === null) return false
    if (line.trim() === "") continue
    const returned = parsePasted(line)
    if (returned.kind === "invalid") {
      io.err("That holds no code and state. Paste the whole address, as it stands in the browser.\n")
      continue
    }
    if (!belongs(returned, state)) {
      io.err("That address belongs to another login. Use the one that began with the address above.\n")
      continue
    }
    try {
      await finish(line.trim())
    } catch (error) {
      // The login's own outcome says it, too; only what is about the address is said here.
      if (!(error instanceof ServerError)) throw error
      if (error.status === 400 && error.code !== "AUTHORIZATION_REFUSED") {
        io.err(`${error.message}\n`)
        continue
      }
    }
    return true
  }
}
