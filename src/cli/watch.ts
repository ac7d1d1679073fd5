import type { Clock, Timers } from "../observe/clock.ts"
import type { Io } from "./command.ts"
import { readFeed } from "./feed.ts"
import { type Server, ServerError } from "./server.ts"
import { type List, ListShape, type ProviderName } from "./shapes.ts"

/** Least time between two pictures, in milliseconds; a burst of events becomes one. */
const CALM_MS = 250
/** A picture is drawn this often although nothing was reported: times pass, and what is in flight is no event. */
const IDLE_MS = 5_000
/** Wait before a lost server is tried again. */
const RETRY_MS = 1_000

/** Alternate screen and hidden cursor, and back (xterm, ctlseqs: DECSET 1049 and 25). */
const ENTER = "\x1b[?1049h\x1b[?25l"
const LEAVE = "\x1b[?25h\x1b[?1049l"

export interface WatchOptions {
  readonly server: Server
  readonly providers: readonly ProviderName[]
  readonly io: Io
  readonly json: boolean
  readonly clock: Clock
  readonly timers: Timers
  draw(server: Server, lists: readonly List[], io: Io): string
}

/**
 * Draws the pools anew whenever the server reports a change, until SIGINT or SIGTERM, or until nobody reads what is
 * drawn. A server that goes away is waited for.
 * @throws ServerError when it cannot be reached to begin with, or refuses the key
 */
export async function watchPools(options: WatchOptions): Promise<void> {
  const { server, providers, io, json, clock } = options
  const stop = new AbortController()
  const bell = new Bell(options.timers)
  const offSignals = io.onSignal(["SIGINT", "SIGTERM"], () => stop.abort())
  io.unheard?.addEventListener("abort", () => stop.abort())
  const offResize = io.onSignal(["SIGWINCH"], () => bell.ring())
  const screen = io.terminal && !json
  let entered = false
  let last = ""

  const read = () =>
    Promise.all(
      providers.map((provider) => server.get(`/${provider}/resource:list`, ListShape, { signal: stop.signal })),
    )
  const show = (lists: readonly List[], note: string) => {
    if (screen) return io.out(picture(`${options.draw(server, lists, io)}${note}`, io.rows ?? 24))
    const content = JSON.stringify(lists)
    // That time has passed is no change.
    if (content === last) return
    if (json) io.out(`${JSON.stringify({ server: server.url, at: clock.wall(), providers: lists })}\n`)
    else io.out(`${last === "" ? "" : "\n"}${options.draw(server, lists, io)}`)
    last = content
  }

  try {
    let lists: readonly List[] = await read()
    for (const provider of providers) void follow(server, provider, bell, stop.signal, options.timers)
    if (screen) {
      io.out(ENTER)
      entered = true
    }
    let note = ""
    for (;;) {
      show(lists, note)
      await bell.next(CALM_MS, IDLE_MS, stop.signal)
      if (stop.signal.aborted) return
      try {
        lists = await read()
        note = ""
      } catch (error) {
        if (stop.signal.aborted) return
        if (!(error instanceof ServerError) || error.status === 401) throw error
        if (!screen && note === "") io.err(`${error.message}; trying again\n`)
        note = `\n${error.message}\nTrying again; Ctrl-C ends.\n`
      }
    }
  } catch (error) {
    if (stop.signal.aborted) return
    throw error
  } finally {
    stop.abort()
    if (entered) io.out(LEAVE)
    offSignals()
    offResize()
  }
}

/** Rings for every event of one provider's feed, and opens it again when it ends. Never rejects. */
async function follow(
  server: Server,
  provider: ProviderName,
  bell: Bell,
  signal: AbortSignal,
  timers: Timers,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const _ of readFeed(await server.stream(`/${provider}/resource:watch`, signal))) bell.ring()
    } catch {
      // The next reading says what is wrong, or the feed just ended.
    }
    if (signal.aborted) return
    await new Promise<void>((resolve) => timers.after(RETRY_MS, resolve))
    bell.ring()
  }
}

/** Gathers rings, so that many at once are one. */
class Bell {
  readonly #timers: Timers
  #rung = false
  #wake: () => void = () => undefined

  constructor(timers: Timers) {
    this.#timers = timers
  }

  ring(): void {
    this.#rung = true
    this.#wake()
  }

  /** Resolves after the next ring, but not before `least` milliseconds, and at the latest after `most`. */
  async next(least: number, most: number, signal: AbortSignal): Promise<void> {
    await this.#sleep(least, signal, false)
    if (!this.#rung) await this.#sleep(most - least, signal, true)
    this.#rung = false
  }

  #sleep(ms: number, signal: AbortSignal, wakes: boolean): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve()
      const cancel = this.#timers.after(ms, () => end())
      const end = () => {
        cancel()
        signal.removeEventListener("abort", end)
        this.#wake = () => undefined
        resolve()
      }
      signal.addEventListener("abort", end)
      if (wakes) this.#wake = end
    })
  }
}

/** One screenful: what does not fit is left out and counted. Each line clears what was there before. */
function picture(text: string, rows: number): string {
  const lines = text.replace(/\n$/, "").split("\n")
  const room = Math.max(1, rows - 1)
  const shown =
    lines.length <= room ? lines : [...lines.slice(0, room - 1), `... ${lines.length - room + 1} more lines`]
  return `\x1b[H${shown.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`
}
