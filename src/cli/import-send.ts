/** Hands logins over to the server and waits for what becomes of each. */
import type { Clock, Timers } from "../observe/clock.ts"
import type { Item } from "./import-plan.ts"
import { type Server, ServerError } from "./server.ts"
import { AddedShape, ListShape, type Outcome, PROVIDERS, type ProviderName } from "./shapes.ts"

/** Logins of one request, and requests at once: progress shows every few seconds, and the server never idles. */
const BATCH = 20
const LANES = 2

/** How long one request waits at the server, in seconds, and how long its answer may take, in milliseconds. */
const WAIT_S = 100
const ANSWER_MS = 130_000

/** How long those that still pend after that are asked about, and how often, in milliseconds. */
const PATIENCE_MS = 120_000
const PAUSE_MS = 2_000

export interface Sent {
  readonly item: Item
  /** Null when it was not sent, or when no answer came: then the server may have it. */
  readonly outcome: Outcome | null
  readonly handedOver: boolean
}

export interface SendResult {
  /** In the order of the items. */
  readonly sent: readonly Sent[]
  /** What ended it early, or null; null, too, when it was told to stop. */
  readonly error: ServerError | null
}

export interface SendOptions {
  readonly server: Server
  readonly clock: Clock
  readonly timers: Timers
  /** Stops it: nothing more is sent, nothing more is waited for. */
  readonly signal: AbortSignal
  /** Told how many have an outcome so far. */
  progress(done: number): void
}

/** Never rejects for what the server does: what it had done by then counts, and the rest is marked as not sent. */
export async function sendItems(items: readonly Item[], options: SendOptions): Promise<SendResult> {
  const { server, signal } = options
  const outcomes = new Map<Item, Outcome>()
  const handed = new Set<Item>()
  let error: ServerError | null = null
  const settled = () => [...outcomes.values()].filter(({ status }) => status !== "pending").length
  const batches = PROVIDERS.flatMap((provider) => {
    const own = items.filter((item) => item.provider === provider)
    return Array.from({ length: Math.ceil(own.length / BATCH) }, (_, i) => ({
      provider,
      batch: own.slice(i * BATCH, (i + 1) * BATCH),
    }))
  })

  const lane = async () => {
    for (let next = batches.shift(); next !== undefined && error === null; next = batches.shift()) {
      if (signal.aborted) return
      try {
        const { provider, batch } = next
        for (const item of batch) handed.add(item)
        const answers = await add(server, provider, batch, signal)
        for (const [i, item] of batch.entries()) {
          const outcome = answers[i]
          if (outcome !== undefined) outcomes.set(item, outcome)
        }
        options.progress(settled())
      } catch (cause) {
        if (signal.aborted) return
        if (!(cause instanceof ServerError)) throw cause
        // What was refused, or never got there, was not handed over.
        if (cause.status !== null || cause.unreached) for (const item of next.batch) handed.delete(item)
        error ??= cause
      }
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  if (error === null) error = await settle(outcomes, options, () => options.progress(settled()))
  const sent = items.map((item) => ({ item, outcome: outcomes.get(item) ?? null, handedOver: handed.has(item) }))
  return { sent, error }
}

async function add(
  server: Server,
  provider: ProviderName,
  batch: readonly Item[],
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const body = batch.map(({ token, project }) => ({
    refresh_token: token,
    ...(project === null ? {} : { project_id: project }),
  }))
  const path = `/${provider}/resource:add?wait=${WAIT_S}`
  const { seeds } = await server.post(path, body, AddedShape, { timeoutMs: ANSWER_MS, signal })
  return seeds
}

/** Asks about those that pend: setting up an account can take minutes. */
async function settle(
  outcomes: Map<Item, Outcome>,
  { server, clock, timers, signal }: SendOptions,
  progress: () => void,
): Promise<ServerError | null> {
  const deadline = clock.mono() + PATIENCE_MS
  for (;;) {
    const pending = [...outcomes].filter(([, { status }]) => status === "pending")
    if (pending.length === 0 || clock.mono() >= deadline) return null
    await pause(timers, signal)
    if (signal.aborted) return null
    try {
      for (const provider of new Set(pending.map(([item]) => item.provider))) {
        const { seeds } = await server.get(`/${provider}/resource:list`, ListShape, { signal })
        const byId = new Map(seeds.map((seed) => [seed.id, seed]))
        for (const [item, { id }] of pending) {
          const now = byId.get(id)
          if (item.provider === provider && now !== undefined) outcomes.set(item, now)
        }
      }
      progress()
    } catch (error) {
      if (signal.aborted) return null
      if (!(error instanceof ServerError)) throw error
      return error
    }
  }
}

function pause(timers: Timers, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      cancel()
      signal.removeEventListener("abort", end)
      resolve()
    }
    const cancel = timers.after(PAUSE_MS, end)
    signal.addEventListener("abort", end)
  })
}
