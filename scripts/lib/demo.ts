/** The story that `scripts/demo` tells: each step is a real request through the compiled executable. */
import { styleText } from "node:util"
import { startFakeGoogle } from "../../test/fakes/google.ts"
import { startFakeOpenAI } from "../../test/fakes/openai.ts"
import { type Running, startPollux } from "../../test/support/binary.ts"
import { until } from "../../test/support/wait.ts"

const GEMINI = "gemini-2.5-pro"
const CODEX = "gpt-5.2-codex"
const QUOTA_MS = 90 * 60_000

const say = (text: string) => console.log(text)
const title = (text: string) => say(`\n${styleText("bold", text)}`)
const shown = (text: string) => say(styleText("dim", `    ${text}`))

/** One provider's part of the story. */
interface Act {
  readonly provider: string
  readonly unary: () => Promise<string>
  readonly stream: (onPiece: (piece: string) => void) => Promise<void>
}

interface Seen {
  readonly id: number
  readonly email: string | null
  readonly state: string
  readonly plan: string | null
  readonly cooldowns: readonly { readonly until: number; readonly cause: string }[]
}

function isList(value: unknown): value is { readonly credentials: readonly Seen[] } {
  return typeof value === "object" && value !== null && "credentials" in value && Array.isArray(value.credentials)
}

async function list(pollux: Running, provider: string): Promise<readonly Seen[]> {
  const body: unknown = await (await pollux.api(`/${provider}/resource:list`)).json()
  if (!isList(body)) throw new Error(`unexpected list: ${JSON.stringify(body)}`)
  return body.credentials
}

async function post(pollux: Running, path: string, body: unknown): Promise<Response> {
  return pollux.api(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  })
}

/** The facts of an answer that a person would look at. */
function facts(response: Response): string {
  const { headers } = response
  const credential = headers.get("x-pollux-credential")
  const retry = headers.get("retry-after")
  return [
    `HTTP ${response.status}`,
    `attempts ${headers.get("x-pollux-attempts") ?? "?"}`,
    ...(credential === null ? [] : [`credential ${credential}`]),
    ...(retry === null ? [] : [`retry after ${retry} s`]),
  ].join(", ")
}

async function showPool(pollux: Running, provider: string): Promise<void> {
  for (const { id, email, state, plan, cooldowns } of await list(pollux, provider)) {
    const [cooldown] = cooldowns
    const until = cooldown === undefined ? "" : `  ${cooldown.cause} until ${new Date(cooldown.until).toISOString()}`
    shown(`${provider} #${id}  ${email ?? "-"}  ${plan ?? "-"}  ${state}${until}`)
  }
}

async function main(): Promise<void> {
  const google = startFakeGoogle()
  const openai = await startFakeOpenAI({ accounts: 0 })
  const pollux = await startPollux({ config: `${google.config()}\n${openai.config([CODEX])}` })
  try {
    title("1. Pollux runs beside a fake Google and a fake OpenAI")
    shown(`pollux ${pollux.url}   google ${google.url}   openai ${openai.url}`)

    title("2. Two refresh tokens for each provider: stored first, then made into credentials")
    const googles = [google.addAccount({ tier: "standard-tier" }), google.addAccount({ tier: "standard-tier" })]
    const openais = [openai.addAccount({ plan: "plus" }), openai.addAccount({ plan: "team" })]
    const seeds = {
      geminicli: googles.map((a) => ({ refresh_token: a.refreshToken, project_id: a.project })),
      codex: openais.map((a) => ({ refresh_token: a.refreshToken })),
    }
    for (const [provider, tokens] of Object.entries(seeds)) {
      const added = await post(pollux, `/${provider}/resource:add`, tokens)
      shown(`POST /${provider}/resource:add -> ${added.status} ${await added.text()}`)
    }
    for (const provider of Object.keys(seeds)) {
      await until(`${provider} has two credentials`, async () => {
        const ready = (await list(pollux, provider)).filter((c) => c.state === "ready")
        return ready.length === 2 ? true : null
      })
      await showPool(pollux, provider)
    }

    const acts: readonly Act[] = [
      {
        provider: "geminicli",
        unary: async () =>
          facts(await post(pollux, `/geminicli/v1beta/models/${GEMINI}:generateContent`, geminiBody("Say hello."))),
        stream: async (onPiece) => {
          const path = `/geminicli/v1beta/models/${GEMINI}:streamGenerateContent?alt=sse`
          await read(await post(pollux, path, geminiBody("Count.")), onPiece)
        },
      },
      {
        provider: "codex",
        unary: async () => facts(await post(pollux, "/codex/v1/responses", { model: CODEX, input: "Say hello." })),
        stream: async (onPiece) => {
          const body = { model: CODEX, input: "Count.", stream: true }
          await read(await post(pollux, "/codex/v1/responses", body), onPiece)
        },
      },
    ]

    title("3. A unary and a streamed request to each")
    for (const act of acts) {
      shown(`${act.provider} unary   ${await act.unary()}`)
      let events = 0
      await act.stream((piece) => {
        events += piece.split("\n").filter((line) => line.startsWith("data:")).length
      })
      shown(`${act.provider} stream  ${events} events, to the end`)
    }

    title("4. One credential of each runs into its quota: the other one answers, the client sees a plain 200")
    for (const account of googles.slice(0, 1)) google.limit(account, GEMINI, 0, QUOTA_MS)
    for (const account of openais.slice(0, 1)) limitCodex(account)
    for (const act of acts) {
      for (let i = 0; i < 3; i++) shown(`${act.provider} ${await act.unary()}`)
      await showPool(pollux, act.provider)
    }

    title("5. All of them do: 429 with the earliest reset, in the shape of the API that was called")
    for (const account of googles) google.limit(account, GEMINI, 0, QUOTA_MS)
    for (const account of openais) limitCodex(account)
    for (const act of acts) {
      await act.unary()
      shown(`${act.provider} ${await act.unary()}`)
    }

    title("6. What the log says")
    for (const line of pollux.log().slice(-4)) shown(JSON.stringify(line).slice(0, 180))
    say("\nThat was all. `scripts/run` starts the real thing.")
  } finally {
    await pollux.stop()
    await google.stop()
    await openai.stop()
  }

  function limitCodex(account: (typeof openai.accounts)[number]): void {
    const resetsAt = Math.floor((Date.now() + QUOTA_MS) / 1000)
    openai.fault(account, { kind: "usage_limit", resetsAt })
  }
}

function geminiBody(text: string): unknown {
  return { contents: [{ role: "user", parts: [{ text }] }] }
}

async function read(response: Response, onPiece: (piece: string) => void): Promise<void> {
  if (response.body === null) return
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) onPiece(piece)
}

await main()
