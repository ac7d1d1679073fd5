/**
 * The upstream of the load rows, a process of its own: token endpoints of any number of accounts, and answers as the request
 * orders them. It prints its address, and tells what it has seen at `/_/state`.
 */
import { codexEvent, geminiAnswer, type Order, readOrder } from "./answers.ts"

export interface UpstreamState {
  /** API requests being answered now, and the most there were at once. */
  readonly open: number
  readonly most: number
  readonly requests: number
  readonly tokenCalls: number
  /** Answers by account and model. */
  readonly picks: Readonly<Record<string, number>>
  /** Body bytes handed to the connections of streams. */
  readonly sent: number
}

const LIFETIME_S = 3_600
/** So much of a body is looked at for orders. */
const HEAD = 1_024

const state = { open: 0, most: 0, requests: 0, tokenCalls: 0, sent: 0 }
const picks = new Map<string, number>()
/** Orders whose fault has been done. */
const spent = new Set<number>()

const jwt = (claims: object) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
  return `${part({ alg: "none" })}.${part(claims)}.x`
}

function googleTokens(form: URLSearchParams): Response {
  const account = form.get("refresh_token")?.split("-").at(-1) ?? "0"
  return Response.json({
    access_token: `ya29.load-${account}`,
    expires_in: LIFETIME_S,
    id_token: jwt({ sub: `load-${account}`, email: `load${account}@example.com` }),
  })
}

function openaiTokens(refresh: string): Response {
  const [account = "0", turn = "0"] = refresh.split("-").slice(1)
  const auth = { chatgpt_account_id: `account-${account}`, chatgpt_plan_type: "plus" }
  const claims = { sub: `load-${account}`, email: `load${account}@example.com`, "https://api.openai.com/auth": auth }
  const exp = Math.floor(Date.now() / 1_000) + LIFETIME_S
  return Response.json({
    access_token: jwt({ ...claims, exp, jti: account }),
    id_token: jwt(claims),
    refresh_token: `rt_load-${account}-${Number(turn) + 1}`,
    expires_in: LIFETIME_S,
  })
}

/** Counts an answer as open until it has ended, however it ends. */
function opened(): () => void {
  state.open++
  state.requests++
  state.most = Math.max(state.most, state.open)
  let ended = false
  return () => {
    if (!ended) state.open--
    ended = true
  }
}

function stream(order: Order, signal: AbortSignal): Response {
  const end = opened()
  signal.addEventListener("abort", end)
  let index = 0
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (index > 0 && order.every > 0) await Bun.sleep(order.every)
        if (order.fault === 3 && index === 2) {
          end()
          return controller.error(new Error("broken off on order"))
        }
        const event = codexEvent(order, index++)
        if (event === null) {
          end()
          return controller.close()
        }
        state.sent += event.length
        controller.enqueue(event)
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { "content-type": "text/event-stream" } })
}

async function answer(request: Request, isStream: boolean, account: string): Promise<Response> {
  const body = await request.text()
  const order = readOrder(body.length > 2 * HEAD ? body.slice(0, HEAD) + body.slice(-HEAD) : body)
  const model = /"model":\s*"([^"]{1,64})"/.exec(body.slice(0, HEAD))?.[1] ?? ""
  const pick = `${account} ${model}`
  picks.set(pick, (picks.get(pick) ?? 0) + 1)
  if (order.late > 0) await Bun.sleep(order.late)
  if (order.fault > 0 && order.fault < 3 && !spent.has(order.id)) {
    spent.add(order.id)
    if (order.fault === 1) return limited()
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("broken on order")) })
    return new Response(broken, { headers: { "content-type": "text/event-stream" } })
  }
  if (isStream) return stream(order, request.signal)
  opened()()
  return new Response(geminiAnswer(order), { headers: { "content-type": "application/json" } })
}

function limited(): Response {
  const error = { type: "rate_limit_exceeded", code: "rate_limit_exceeded", message: "Rate limit reached" }
  return Response.json({ error }, { status: 429, headers: { "retry-after": "1" } })
}

const accountOf = (request: Request) => {
  const bearer = request.headers.get("authorization") ?? ""
  return request.headers.get("chatgpt-account-id") ?? bearer.slice(bearer.lastIndexOf("-") + 1)
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  idleTimeout: 0,
  maxRequestBodySize: 64 * 1024 * 1024,
  async fetch(request) {
    const path = new URL(request.url).pathname
    switch (path) {
      case "/token":
        state.tokenCalls++
        return googleTokens(new URLSearchParams(await request.text()))
      case "/oauth/token": {
        state.tokenCalls++
        const body: unknown = await request.json()
        return openaiTokens(String(Reflect.get(Object(body), "refresh_token")))
      }
      case "/v1internal:loadCodeAssist":
        return Response.json({ currentTier: { id: "standard-tier" }, cloudaicompanionProject: "companion" })
      case "/v1internal:generateContent":
        return answer(request, false, accountOf(request))
      case "/codex/responses":
        return answer(request, true, accountOf(request))
      case "/_/state":
        return Response.json({ ...state, picks: Object.fromEntries(picks) } satisfies UpstreamState)
      case "/_/reset":
        Object.assign(state, { most: state.open, requests: 0, tokenCalls: 0, sent: 0 })
        picks.clear()
        return new Response("ok")
      default:
        return new Response("not here", { status: 404 })
    }
  },
})
console.log(server.url.origin)
