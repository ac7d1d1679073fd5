import { Stream } from "@elysiajs/stream"
import type { Clock, Timers } from "../observe/clock.ts"
import type { Pool } from "../scheduler/ports.ts"
import { refuse } from "./faults.ts"
import { showCredential, showEvent } from "./show.ts"

/** Silence after which a comment is sent, in milliseconds. */
const KEEP_ALIVE_MS = 15_000

/** Feeds open at once, over all providers. */
const MOST_FEEDS = 64

/** Frames that may wait for a slow reader; beyond it the feed ends, and the reader starts anew from a snapshot. */
const MOST_WAITING = 1_000

const encoder = new TextEncoder()
const COMMENT = encoder.encode(": keep-alive\n\n")

export interface FeedDeps {
  readonly name: string
  readonly pool: Pool
  readonly clock: Clock
  readonly timers: Timers
}

/** The open `resource:watch` feeds: server-sent events of everything that changes in a pool, after a snapshot of it. */
export class Feeds {
  readonly #closers = new Set<() => void>()

  /** @throws HttpError unavailable when too many are open */
  open(deps: FeedDeps): Response {
    if (this.#closers.size >= MOST_FEEDS) {
      refuse({ kind: "unavailable", message: `${MOST_FEEDS} feeds are open already`, retryAfter: 15 })
    }
    const feed = new Feed(deps)
    const close = () => feed.close()
    this.#closers.add(close)
    feed.onEnd(() => this.#closers.delete(close))
    return new Response(feed.body, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
      },
    })
  }

  get size(): number {
    return this.#closers.size
  }

  /** Ends every feed, so that a drain need not wait for them. */
  close(): void {
    for (const close of [...this.#closers]) close()
  }
}

/**
 * One feed. The library's stream is only written to here and read through a stream of our own: its `cancel` throws, which
 * nobody would catch, and it holds whatever a slow reader does not take (platform spec 3.2).
 */
class Feed {
  readonly body: ReadableStream<Uint8Array>
  readonly #stream = new Stream<Uint8Array>()
  readonly #timers: Timers
  #waiting = 0
  #done = false
  #stopTimer: () => void = () => undefined
  #unsubscribe: () => void = () => undefined
  #ended: () => void = () => undefined

  constructor({ name, pool, clock, timers }: FeedDeps) {
    this.#timers = timers
    const reader = this.#stream.stream.getReader()
    this.body = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const chunk = await reader.read()
          if (chunk.done) return controller.close()
          this.#waiting -= 1
          controller.enqueue(chunk.value)
        },
        cancel: async () => {
          this.close()
          // The one place where the library's throwing `cancel` is run: on purpose, and caught.
          await reader.cancel().catch(() => undefined)
        },
      },
      { highWaterMark: 0 },
    )
    this.#send("snapshot", {
      at: clock.wall(),
      provider: name,
      counts: pool.counts(),
      credentials: pool.list().map(showCredential),
    })
    this.#unsubscribe = pool.subscribe((event) => this.#send(event.event, showEvent(event)))
  }

  onEnd(task: () => void): void {
    this.#ended = task
  }

  close(): void {
    if (this.#done) return
    this.#done = true
    this.#stopTimer()
    this.#unsubscribe()
    try {
      this.#stream.close()
    } catch {
      // Closed already, by a reader that left.
    }
    this.#ended()
  }

  #send(event: string, data: unknown): void {
    this.#write(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`))
  }

  #write(frame: Uint8Array): void {
    if (this.#done) return
    if (this.#waiting >= MOST_WAITING) {
      this.close()
      return
    }
    this.#waiting += 1
    this.#stream.send(frame)
    this.#stopTimer()
    this.#stopTimer = this.#timers.after(KEEP_ALIVE_MS, () => this.#write(COMMENT))
  }
}
