import { systemTimers } from "../observe/clock.ts"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { openBrowser } from "./browser.ts"
import { type Command, type Input, type Io, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { showId } from "./ids.ts"
import { browserLogin } from "./login-browser.ts"
import { awaitLogin } from "./login-wait.ts"
import { createPaint } from "./paint.ts"
import { accountText, stateText } from "./pool-text.ts"
import { SERVER_EXITS, type Server, withServer } from "./server.ts"
import { DeviceShape, isProvider, ListShape, type LoginState, PROVIDERS, type ProviderName } from "./shapes.ts"

export const login: Command = {
  words: ["login"],
  summary: "add an account through the provider's own login, while the server runs",
  detail:
    "Shows an address and, on a desktop, opens it in the browser; then waits until the server has the credential, or the reason why not. Where the browser cannot come back (no browser on this machine, a container), --paste takes the address at which it ended, and codex knows --device, which needs no way back at all.",
  examples: [
    { line: "pollux login codex", says: "through the browser" },
    { line: "pollux login codex --device", says: "with a code that is typed on any other device" },
    { line: "pollux login geminicli --project my-project-1", says: "with a Cloud project of your own" },
    { line: "pollux login geminicli --paste", says: "paste the final address by hand" },
  ],
  arguments: [{ name: "PROVIDER", summary: "whose account it is", required: true, choices: PROVIDERS }],
  options: [
    { name: "paste", summary: "take the final address by hand instead of waiting for the browser" },
    { name: "device", summary: "codex: show a code to type in on any device" },
    { name: "project", value: "ID", summary: "geminicli: the Cloud project to use (its id, not its number)" },
    { name: "no-browser", summary: "only show the address" },
    JSON_OPTION,
    ...SERVER_OPTIONS,
  ],
  exits: [...SERVER_EXITS, EXIT.interrupted],
  run: (input, io) => {
    const provider = input.args[0] ?? ""
    const problem = isProvider(provider) ? misfit(provider, input) : `no provider is called "${provider}"`
    if (!isProvider(provider) || problem !== null) {
      io.err(`pollux: ${problem}\nTry \`pollux login --help\`.\n`)
      return Promise.resolve(EXIT.usage)
    }
    return withServer(input, io, async (server) => {
      const state = input.has("device")
        ? await deviceLogin(provider, server, input, io)
        : await browserLogin({
            provider,
            server,
            io,
            desktop: { platform: process.platform, env: io.env },
            timers: systemTimers,
            project: input.option("project")?.trim() ?? null,
            paste: input.has("paste"),
            browser: !input.has("no-browser"),
          })
      return report(provider, server, state, input, io)
    })
  },
}

/** Options that do not go with the provider or with each other, in words. */
function misfit(provider: ProviderName, input: Input): string | null {
  const project = input.option("project")
  if (project !== null && provider !== "geminicli") return `--project is for geminicli: ${provider} has no projects`
  if (project !== null && /^\s*\d+\s*$/.test(project)) {
    return `--project ${project} is a project's number; give its id, which has letters in it (\`gcloud projects list\` shows both)`
  }
  if (input.has("device") && provider !== "codex")
    return `--device is for codex: ${provider} has no device login; use --paste`
  if (input.has("device") && input.has("paste")) return "--device and --paste exclude each other"
  return null
}

async function deviceLogin(provider: ProviderName, server: Server, input: Input, io: Io): Promise<LoginState> {
  const device = await server.post(`/${provider}/login:device`, {}, DeviceShape, { timeoutMs: 75_000 })
  const paint = createPaint(io.color)
  const minutes = Math.max(1, Math.round(device.expires_in / 60))
  io.err(`Open this page on any device and type in the code:\n\n  ${escapeControls(device.verification_url)}\n`)
  io.err(
    `  ${paint.bold(escapeControls(device.user_code))}\n\nThe code serves for ${minutes} minutes. Never give it to anybody.\n`,
  )
  if (io.interactive && !input.has("no-browser")) {
    openBrowser(device.verification_url, { platform: process.platform, env: io.env })
  }
  io.err("Waiting for the login...\n")
  return awaitLogin({ server, provider, id: device.id, timers: systemTimers })
}

async function report(
  provider: ProviderName,
  server: Server,
  state: LoginState,
  input: Input,
  io: Io,
): Promise<number> {
  const json = input.has("json")
  const id = state.credential ?? null
  if (state.status !== "done") {
    const { reason = "FAILED", message = "the login failed", url = null } = state
    if (json) io.out(`${JSON.stringify({ ok: false, provider, reason, message, url }, null, 2)}\n`)
    io.err(`pollux: not logged in: ${escapeControls(message)} (${escapeControls(reason)})\n`)
    if (url !== null) io.err(`See ${escapeControls(url)}\n`)
    return EXIT.failure
  }
  const list = id === null ? null : await server.get(`/${provider}/resource:list`, ListShape)
  const credential = list?.credentials.find((one) => one.id === id) ?? null
  if (json) {
    io.out(`${JSON.stringify({ ok: true, provider, id, pending: id === null, credential }, null, 2)}\n`)
    return EXIT.ok
  }
  if (id === null) {
    io.out("Logged in. The account is still being set up; `pollux status` shows how it goes.\n")
    return EXIT.ok
  }
  if (credential === null) {
    io.out(`Added ${showId(provider, id)}.\n`)
    return EXIT.ok
  }
  const paint = createPaint(io.color)
  const account = accountText(credential).replaceAll("\n", ", ")
  const plan = credential.plan === null ? "" : `, ${escapeControls(credential.plan)}`
  io.out(`Added ${showId(provider, id)}: ${account}${plan}, ${stateText(credential.state, paint)}.\n`)
  if (credential.detail !== null) io.out(`${escapeControls(credential.detail)}\n`)
  if (credential.url !== null) io.out(`See ${escapeControls(credential.url)}\n`)
  return EXIT.ok
}
