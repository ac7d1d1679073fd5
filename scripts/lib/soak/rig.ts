/** What every load row runs on: the load upstream, Pollux in front of it with so many credentials, and their figures. */
import { readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { type Running, startPollux } from "../../../test/support/binary.ts"
import { memoryOf, socketsOf } from "../../../test/support/memory.ts"
import { until } from "../../../test/support/wait.ts"
import { type Order, orderText } from "./answers.ts"
import { Connection } from "./connection.ts"
import type { UpstreamState } from "./upstream.ts"

const MODELS = ["gemini-2.5-pro", "model-1", "model-2", "model-3", "model-4"]
const ROOT = resolve(import.meta.dir, "../../..")

export interface RigOptions {
  readonly geminicli?: number
  readonly codex?: number
}

export type Api = "geminicli" | "codex"

export class Rig implements AsyncDisposable {
  private constructor(
    readonly pollux: Running,
    readonly upstreamUrl: string,
    private readonly child: Bun.Subprocess,
  ) {}

  static async start({ geminicli = 0, codex = 0 }: RigOptions): Promise<Rig> {
    const child = Bun.spawn([process.execPath, join(ROOT, "scripts/lib/soak/upstream.ts")], {
      stdout: "pipe",
      // The runtime tells of every stream that is broken on order.
      stderr: "ignore",
    })
    try {
      const upstreamUrl = await firstLine(child.stdout)
      const pollux = await startPollux({
        config: {
          basic: { loglevel: "info" },
          providers: {
            geminicli: { api_url: upstreamUrl, token_url: `${upstreamUrl}/token`, model_list: MODELS, oauth_tps: 1000 },
            codex: { api_url: `${upstreamUrl}/codex`, token_url: `${upstreamUrl}/oauth/token`, oauth_tps: 1000 },
          },
        },
      })
      const rig = new Rig(pollux, upstreamUrl, child)
      await rig.#hush()
      await rig.#add("geminicli", geminicli, (index) => `1//load-${index}`)
      await rig.#add("codex", codex, (index) => `rt_load-${index}-0`)
      await rig.reset()
      return rig
    } catch (error) {
      child.kill()
      throw error
    }
  }

  async #add(provider: Api, count: number, token: (index: number) => string): Promise<void> {
    if (count === 0) return
    const seeds = Array.from({ length: count }, (_, index) => ({ refresh_token: token(index) }))
    const headers = { "content-type": "application/json" }
    await this.pollux.api(`/${provider}/resource:add`, { method: "POST", headers, body: JSON.stringify(seeds) })
    await until(`${count} credentials are ready`, async () => (await this.counts(provider)).ready === count, 60_000)
  }

  /** A line for each of a million requests would fill this process. */
  async #hush(): Promise<void> {
    const path = join(this.pollux.cwd, "config.toml")
    writeFileSync(path, readFileSync(path, "utf8").replace('"info"', '"warn"'))
    const { status } = await this.pollux.api("/reload", { method: "POST" })
    if (status !== 200) throw new Error(`the configuration could not be reloaded: ${status}`)
  }

  get port(): number {
    return Number(new URL(this.pollux.url).port)
  }

  connect(): Promise<Connection> {
    return Connection.open(this.port)
  }

  async counts(provider: Api): Promise<Readonly<Record<string, number>>> {
    return (await (await this.pollux.api(`/${provider}/resource:list`)).json()).counts
  }

  async state(): Promise<UpstreamState> {
    return (await fetch(`${this.upstreamUrl}/_/state`)).json()
  }

  async reset(): Promise<void> {
    await fetch(`${this.upstreamUrl}/_/reset`)
  }

  rss(): number {
    return memoryOf(this.pollux.pid).rss
  }

  sockets(): number {
    return socketsOf(this.pollux.pid)
  }

  /** A gauge's sum over its labels. */
  async gauge(name: string): Promise<number> {
    const text = await (await this.pollux.api("/metrics")).text()
    const lines = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))]
    return lines.reduce((sum, [, value]) => sum + Number(value), 0)
  }

  /** Bytes of a streamed Codex request. */
  stream(order: Partial<Order>, filler = ""): string {
    const body = JSON.stringify({ model: "gpt-5.2-codex", stream: true, input: `${orderText(order)} ${filler}` })
    return this.#request("/codex/v1/responses", body)
  }

  /** Bytes of a unary Gemini request. */
  unary(order: Partial<Order>, filler = "", model = "gemini-2.5-pro"): string {
    const text = `${orderText(order)} ${filler}`
    const body = JSON.stringify({ contents: [{ role: "user", parts: [{ text }] }] })
    return this.#request(`/geminicli/v1beta/models/${model}:generateContent`, body)
  }

  #request(path: string, body: string): string {
    const head = [
      `POST ${path} HTTP/1.1`,
      "host: localhost",
      `x-goog-api-key: ${this.pollux.key}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
    ]
    return `${head.join("\r\n")}\r\n\r\n${body}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pollux[Symbol.asyncDispose]()
    this.child.kill()
    await this.child.exited
  }
}

export { MODELS }

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder()
  let text = ""
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    const end = text.indexOf("\n")
    if (end >= 0) return text.slice(0, end)
  }
  throw new Error("the load upstream ended before it said where it listens")
}
