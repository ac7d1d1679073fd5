import type { Log } from "../../../src/observe/ports.ts"
import { createUpstreams } from "../../../src/relay/fetcher.ts"
import type {
  AnswerHeaders,
  Assembler,
  CallBase,
  Failure,
  Framer,
  JudgeContext,
  Opened,
  Provider,
  RelayRefusal,
  Sender,
  Verdict,
} from "../../../src/relay/ports.ts"
import { type Span, viewOf } from "../../../src/relay/span.ts"
import { SseScanner } from "../../../src/relay/sse.ts"
import type { Lease } from "../../../src/scheduler/ports.ts"

export interface ToyCall extends CallBase {
  readonly text: string
}

export const toyCall = (over: Partial<ToyCall> = {}): ToyCall => ({
  model: "toy-1",
  stream: true,
  sessions: [],
  text: "hi",
  ...over,
})

/** Events of the toy's upstream: `hello` is handshake, `text` is content, `end` is terminal, `error` fails. */
export const event = (kind: "hello" | "text" | "end" | "error", rest: Readonly<Record<string, unknown>> = {}): string =>
  `data: ${JSON.stringify({ kind, ...rest })}\n\n`

const encoder = new TextEncoder()

class ToyFramer implements Framer {
  readonly usage = null
  readonly quotas = []
  readonly plan = null
  responseId: string | null = null
  lateError: string | null = null
  phase: Framer["phase"] = "opening"
  events = 0
  failure: Failure | null = null
  incomplete = false
  readonly keepAlive = encoder.encode(": keep-alive\n\n")
  private readonly scanner = new SseScanner()

  constructor(private readonly headers: AnswerHeaders) {}

  get betweenFrames(): boolean {
    return this.scanner.betweenFrames
  }

  push(chunk: Uint8Array): Uint8Array | null {
    this.scanner.feed(chunk)
    while (this.scanner.next()) this.see(this.scanner.text())
    return chunk
  }

  end(fault: Failure | null): Uint8Array | null {
    if (this.phase === "done") return null
    this.incomplete = true
    const open = this.scanner.betweenFrames ? "" : "\n\n"
    return encoder.encode(`${open}data: {"kind":"error","why":"${fault?.kind ?? "eof"}"}\n\n`)
  }

  private see(text: string): void {
    this.events++
    if (text === "[DONE]") return
    const { kind, id } = JSON.parse(text)
    if (kind === "text") this.phase = "flowing"
    if (kind === "end") {
      this.phase = "done"
      this.responseId = id ?? null
    }
    if (kind !== "error") return
    if (this.phase === "opening") this.failure = { kind: "event", body: text, headers: this.headers }
    else {
      this.lateError = text
      this.phase = "done"
    }
  }
}

class ToyAssembler implements Assembler {
  readonly usage = null
  readonly quotas = []
  readonly plan = null
  readonly responseId = null
  readonly lateError = null
  failure: Failure | null = null
  done = false
  private text = ""
  private readonly decoder = new TextDecoder()

  push(piece: Span): void {
    this.text += this.decoder.decode(viewOf(piece), { stream: true })
    if (this.text.includes('"kind":"error"')) this.failure = { kind: "event", body: this.text, headers: new Headers() }
    if (this.text.includes('"kind":"end"')) this.done = true
  }

  finish(): ReturnType<Assembler["finish"]> {
    return this.text === "" ? { kind: "empty" } : { body: this.text, status: 200 }
  }
}

/** A rule of the toy's verdicts, by status or by an error event's code. */
export type Rule = Partial<Omit<Verdict<ToyCall>, "tell">> & { readonly says?: string; readonly status?: number }

export interface ToyOptions {
  readonly url: string
  readonly rules?: Readonly<Record<string, Rule>>
  readonly sender?: Sender
  readonly judge?: (key: string, failure: Failure, call: ToyCall, lease: Lease, context: JudgeContext) => Rule | null
  readonly keepAlive?: Uint8Array | null
}

export interface Toy extends Provider<ToyCall> {
  /** What was judged, in order. */
  readonly judged: {
    readonly key: string
    readonly failure: Failure
    readonly credential: number
    readonly now: number
  }[]
}

const ignore = (): void => undefined
export const silent: Log = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => silent,
}
const { sender: direct } = createUpstreams({
  settings: { current: { enableMultiplexing: false, proxy: null } },
  log: silent,
})

/** What a failure is called in a toy's rules: "429", "event:overloaded", "network:connect", "timeout:idle", "cut", "empty". */
export function keyOf(failure: Failure): string {
  switch (failure.kind) {
    case "status":
      return String(failure.status)
    case "event":
      return `event:${/"code":"(\w+)"/.exec(failure.body)?.[1] ?? "unknown"}`
    case "network":
    case "timeout":
      return `${failure.kind}:${failure.stage}`
    default:
      return failure.kind
  }
}

export function toyProvider(options: ToyOptions): Toy {
  const judged: Toy["judged"] = []
  const sender = options.sender ?? direct
  return {
    name: "toy",
    judged,
    send: (lease, call, signal) =>
      sender(`${options.url}/${call.model}`, {
        method: "POST",
        headers: { authorization: `Bearer ${lease.token}`, "content-type": "text/plain" },
        body: call.text,
        signal,
      }),
    open(response, call): Opened {
      const headers = { "content-type": call.stream ? "text/event-stream" : "application/json" }
      return call.stream
        ? { mode: "stream", response, framer: new ToyFramer(response.headers), headers }
        : { mode: "unary", response, assembler: new ToyAssembler(), headers }
    },
    judge(failure, call, lease, context) {
      const key = keyOf(failure)
      judged.push({ key, failure, credential: lease.credential, now: performance.now() })
      const rule = options.judge?.(key, failure, call, lease, context) ?? options.rules?.[key] ?? {}
      const { says = key, status = 502, ...verdict } = rule
      return {
        cause: key,
        act: { do: "none" },
        retry: "no",
        budget: "fault",
        rank: 0,
        message: `the toy failed: ${key}`,
        ...verdict,
        tell: { status, body: JSON.stringify({ error: says }) },
      }
    },
    refuse: (why: RelayRefusal) => ({
      status: why.why === "all_cooling" ? 429 : why.why === "internal" ? 500 : 503,
      body: JSON.stringify({ refused: why.why }),
      ...(why.why === "all_cooling" && { retryAfter: 12.3 }),
    }),
  }
}
