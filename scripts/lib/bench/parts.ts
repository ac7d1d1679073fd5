/**
 * Where the time of a whole answer goes: the app in one process, put together part by part, without sockets. What is left beside
 * these figures is the runtime's: sockets, HTTP on both sides, `fetch`'s thread. `bun scripts/lib/bench/parts.ts`
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Elysia } from "elysia"
import { loadConfig } from "../../../src/config/load.ts"
import type { ProviderSettings } from "../../../src/config/types.ts"
import { createEdge, type Edge, type EdgeDeps, mount } from "../../../src/http/edge.ts"
import type {
  Answered,
  ApiContext,
  ClientRequest,
  ProviderDeps,
  ProviderModule,
  Taking,
} from "../../../src/http/ports.ts"
import { systemClock as clock, systemTimers as timers } from "../../../src/observe/clock.ts"
import { Halt } from "../../../src/observe/halt.ts"
import { createLog } from "../../../src/observe/log.ts"
import { createMetrics } from "../../../src/observe/metrics.ts"
import { createCodex } from "../../../src/providers/codex/index.ts"
import { createGeminicli } from "../../../src/providers/geminicli/index.ts"
import { Fields } from "../../../src/relay/http1/fields.ts"
import type { CallBase, Opened, Recorder } from "../../../src/relay/ports.ts"
import { createRecorder } from "../../../src/relay/recorder.ts"
import { createRelay } from "../../../src/relay/relay.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { type Span, spanOf, viewOf } from "../../../src/relay/span.ts"
import { createPool } from "../../../src/scheduler/actor.ts"
import { openStore } from "../../../src/store/open.ts"
import { UsageTotals } from "../../../src/store/usage-totals.ts"
import { stockPool } from "./pool.ts"
import { requestFor } from "./requests.ts"
import type { PartsRow } from "./results.ts"
import { type Api, KEY, MODEL } from "./subjects.ts"

const TEXT = "The quick brown fox jumps over the lazy dog. ".repeat(22)

const ANSWERS: Readonly<Record<Api, { readonly type: string; readonly body: Uint8Array<ArrayBuffer> }>> = {
  geminicli: {
    type: "application/json; charset=UTF-8",
    body: new TextEncoder().encode(
      JSON.stringify({
        response: {
          candidates: [{ content: { role: "model", parts: [{ text: TEXT }] }, finishReason: "STOP" }],
          usageMetadata: { promptTokenCount: 12, candidatesTokenCount: 64, totalTokenCount: 76 },
          modelVersion: MODEL.geminicli,
          responseId: "r-0123456789",
        },
        traceId: "t-0123456789",
      }),
    ),
  },
  codex: {
    type: "text/event-stream",
    body: new TextEncoder().encode(
      [
        { type: "response.created", response: { id: "resp_1", status: "in_progress" } },
        {
          type: "response.completed",
          response: {
            id: "resp_1",
            object: "response",
            status: "completed",
            model: MODEL.codex,
            output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: TEXT }] }],
            usage: {
              input_tokens: 12,
              input_tokens_details: { cached_tokens: 0 },
              output_tokens: 64,
              output_tokens_details: { reasoning_tokens: 0 },
              total_tokens: 76,
            },
          },
        },
      ]
        .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
        .join(""),
    ),
  },
}

const NOBODY: Recorder = { attempt() {}, finish() {} }
const NOTES = { usage: null, quotas: [], plan: null, responseId: null, lateError: null }

type Answer = () => Promise<Response>
type Handler = (request: ClientRequest) => Answered | Promise<Answered>

/** One request through everything that the levels below `handlers` share. */
class Workbench {
  readonly #folder = mkdtempSync(join(tmpdir(), "pollux-parts-"))
  readonly #store
  readonly #config
  /** Lines are made and thrown away. */
  readonly #log = createLog({ level: "info", format: "json", write: () => {} })

  constructor(
    readonly api: Api,
    readonly answer: Answer,
  ) {
    const database = join(this.#folder, "data.db")
    stockPool(database, 100, [api])
    const file = join(this.#folder, "config.toml")
    const models = Object.entries(MODEL).map(([name, model]) => `[providers.${name}]\nmodel_list = ["${model}"]`)
    writeFileSync(file, `[basic]\npollux_key = "${KEY}"\n${models.join("\n")}\n`, { mode: 0o600 })
    const loaded = loadConfig({ explicitPath: file, env: {}, cwd: this.#folder })
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"))
    this.#config = loaded.config
    this.#store = openStore({ path: database, encryptionKey: null, clock, log: this.#log })
  }

  /** Programs with one part more each, by the part's name. */
  handlers(): Readonly<Record<string, Handler>> {
    const { answer } = this
    const metrics = createMetrics({ version: "0", clock, timers })
    const usage = new UsageTotals(this.#store.usage, { clock, timers, log: this.#log })
    const record = (log: boolean, counts: boolean): Recorder =>
      createRecorder({
        log: log ? this.#log : createLog({ level: "error", format: "json", write: () => {} }),
        metrics,
        usage: counts ? usage : { add() {} },
        clock,
      })
    return {
      runtime: async (request) => {
        await request.bytes()
        return new Reply(200, HEADERS, await (await answer()).bytes())
      },
      edge: this.#edge("edge", NOBODY),
      "relay, scheduler": this.#edge("relay", NOBODY),
      provider: this.#edge("provider", NOBODY),
      metrics: this.#edge("provider", record(false, false)),
      usage: this.#edge("provider", record(false, true)),
      log: this.#edge("provider", record(true, true)),
    }
  }

  close(): void {
    this.#store.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #edge(upTo: "edge" | "relay" | "provider", recorder: Recorder): Handler {
    const deps = { clock, log: this.#log, random: Math.random, fetcher: this.answer, sender: this.answer }
    const { geminicli, codex } = this.#config.providers
    return this.api === "geminicli"
      ? this.#compose(createGeminicli, { ...deps, settings: { current: geminicli } }, upTo, recorder)
      : this.#compose(createCodex, { ...deps, settings: { current: codex } }, upTo, recorder)
  }

  #compose<S extends ProviderSettings, C extends CallBase>(
    create: (deps: ProviderDeps<S>) => ProviderModule<C>,
    deps: ProviderDeps<S>,
    upTo: "edge" | "relay" | "provider",
    recorder: Recorder,
  ): Handler {
    const { answer, api } = this
    const module = create(deps)
    const log = this.#log
    const pool = createPool({
      name: api,
      settings: deps.settings,
      clock,
      timers,
      random: Math.random,
      source: this.#store.source(api),
      refresher: module.refresher,
      quotas: null,
      log,
    })
    const relayDeps = { pool, settings: deps.settings, clock, timers, random: Math.random, recorder, log }
    const relay = createRelay({ ...relayDeps, provider: module.provider, answerHeaders: { current: true } })
    const path = requestFor(api, { api, order: "@unary 1024", prompt: 200 }).path
    const plain = createRelay<CallBase>({
      ...relayDeps,
      provider: { ...module.provider, send: answer, open: opened, judge: unused, refuse: unused },
      answerHeaders: { current: true },
    })
    const call: CallBase = { model: MODEL[api], stream: false, sessions: [] }
    const run: (context: ApiContext) => Taking =
      upTo === "edge"
        ? () => ({ take: async () => new Reply(200, HEADERS, await (await answer()).bytes()) })
        : ({ inbound }) => ({ take: () => plain.serve(call, inbound) })
    const cut: ProviderModule<C> = {
      ...module,
      routes: ({ tools }) => new Elysia().post(path, tools.posted(run, { method: "POST", path }), { parse: "none" }),
    }
    const edge: Edge = createEdge(this.#edgeDeps([mount(upTo === "provider" ? module : cut, pool, relay)]))
    return (request) => edge.handle(request)
  }

  #edgeDeps(providers: EdgeDeps["providers"]): EdgeDeps {
    return {
      config: { current: this.#config },
      clock,
      timers,
      log: this.#log,
      providers,
      metrics: { text: async () => "", contentType: "" },
      ready: () => [],
      usage: () => null,
      reload: unused,
      access() {},
      refused() {},
    }
  }
}

/** An answer that is handed on as it came. */
function opened(response: Response): Opened {
  let whole: Uint8Array = new Uint8Array(0)
  const assembler = {
    ...NOTES,
    failure: null,
    done: false,
    push(piece: Span) {
      whole = viewOf(piece)
    },
    finish: () => ({ body: whole, status: 200 }),
  }
  return { mode: "unary", response, assembler, headers: HEADERS }
}
const HEADERS = { "content-type": "application/json" }

function unused(): never {
  throw new Error("nothing fails here")
}

/** Microseconds a request: the tenth of the slices that were disturbed least. */
async function measure(handlers: Readonly<Record<string, Handler>>, ask: () => ClientRequest, slices: number) {
  const times = new Map<string, number[]>(Object.keys(handlers).map((name) => [name, []]))
  for (let slice = -slices / 2; slice < slices; slice++) {
    for (const [name, handler] of Object.entries(handlers)) {
      const from = Bun.nanoseconds()
      for (let i = 0; i < PER_SLICE; i++) {
        const { status, body } = await handler(ask())
        if (status !== 200) throw new Error(`${name}: ${status} ${body}`)
      }
      if (slice >= 0) times.get(name)?.push((Bun.nanoseconds() - from) / 1000 / PER_SLICE)
    }
  }
  const least = [...times].map(([name, list]) => [name, list.sort((a, b) => a - b)[Math.floor(list.length / 10)] ?? 0])
  return new Map<string, number>(least.map(([name, us]) => [String(name), Number(us)]))
}
const PER_SLICE = 300

/** What each part adds. */
export async function partsOf(api: Api, slices: number): Promise<PartsRow> {
  const { type, body } = ANSWERS[api]
  const headers = new Headers({ "content-type": type, "content-length": String(body.length) })
  const bench = new Workbench(api, () => Promise.resolve(new Response(body, { headers })))
  const wanted = requestFor(api, { api, order: "@unary 1024", prompt: 200 })
  const sent = new TextEncoder().encode(wanted.body)
  const fields = Object.entries({ ...wanted.headers, "content-length": String(sent.length) })
  const ask = (): ClientRequest => ({
    method: "POST",
    target: { path: wanted.path, query: "" },
    headers: new Fields(Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value]))),
    length: sent.length,
    body: null,
    bytes: () => Promise.resolve(sent),
    whole: () => spanOf(sent),
    signal: new Halt(),
    address: "127.0.0.1",
    welcome() {},
  })
  try {
    const sums = await measure(bench.handlers(), ask, slices)
    const parts: Record<string, number> = {}
    let before = 0
    for (const [name, us] of sums) {
      parts[name] = us - before
      before = us
    }
    return { api, parts }
  } finally {
    bench.close()
  }
}

if (import.meta.main) {
  const slices = Number(process.argv[2] ?? 60)
  for (const api of ["geminicli", "codex"] as const) console.log(JSON.stringify(await partsOf(api, slices)))
  process.exit(0)
}
