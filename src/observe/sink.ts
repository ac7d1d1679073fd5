import { writeSync } from "node:fs"
import type { Timers } from "./clock.ts"
import { Page } from "./page.ts"

/** Where finished lines go. */
export interface Sink {
  write(line: string): void
  /** Where to put one line, newline included, before anything else is written; null where it would be lost. */
  open(): Page | null
  /** The line is complete. */
  close(): void
  /** Writes out what is buffered before it returns, or gives up after 2 s; safe in a crash handler. */
  flush(): void
}

export interface SinkDeps {
  /** Writes some bytes from `offset` on and returns how many; throws what `fs.writeSync` throws. */
  readonly write: (bytes: Uint8Array, offset: number) => number
  readonly timers: Timers
  /** Told how many lines were given up, once there is room again. */
  readonly lost: (lines: number) => void
}

/** Lines wait at most this long, in milliseconds, so that a burst costs one system call. */
const LINGER_MS = 20
/** Bytes after which the page is written at once. */
const FULL = 32 * 1024
/** Bytes kept for a reader that takes nothing; what comes then is lost, and counted. */
const MOST = 4 * 1024 * 1024
/** How long `flush` waits for such a reader: steps of some milliseconds, 2 s in all. */
const STEP_MS = 5
const STEPS = 400

type Written = "all" | "blocked" | "failed"

/**
 * Collects lines and writes them in bursts. A pipe whose reader is slow (Bun makes pipes non-blocking) never holds up the event loop:
 * what it does not take waits here, up to a limit.
 */
export function createSink(deps: SinkDeps): Sink {
  const page = new Page()
  let lost = 0
  let closed = false
  let blocked = false
  let cancel: (() => void) | null = null

  function drain(): Written {
    const bytes = page.bytes.subarray(0, page.end)
    try {
      while (page.length > 0) page.start += deps.write(bytes, page.start)
      page.clear()
      return "all"
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null
      if (code === "EAGAIN" || code === "EWOULDBLOCK" || code === "EINTR") return "blocked"
      // A reader that has gone does not come back; a full disk may have room again.
      closed = code === "EPIPE" || code === "EBADF"
      lost += countLines(bytes, page.start)
      page.clear()
      return "failed"
    }
  }

  function arm(): void {
    cancel ??= deps.timers.after(LINGER_MS, () => {
      cancel = null
      run()
    })
  }

  /** Owns up to what was lost, as a line of its own. */
  function confess(): void {
    if (lost === 0) return
    const lines = lost
    lost = 0
    deps.lost(lines)
  }

  function run(): void {
    const outcome = drain()
    blocked = outcome === "blocked"
    if (blocked) arm()
    if (outcome === "all") confess()
  }

  /** Whether there is room for so much more; if not, the line is lost. */
  function admits(bytes: number): boolean {
    if (closed) return false
    if (page.length + bytes <= MOST) return true
    lost += 1
    return false
  }

  function added(): void {
    if (page.length >= FULL && !blocked) run()
    else arm()
  }

  return {
    write(line) {
      if (!admits(line.length)) return
      page.text(line)
      added()
    },
    open: () => (admits(0) ? page : null),
    close: added,
    flush() {
      cancel?.()
      cancel = null
      for (let step = 0; step < STEPS && drain() === "blocked"; step++) pause(STEP_MS)
      confess()
      if (drain() === "blocked") arm()
    },
  }
}

/** Hands on each line by itself, at once. */
export function lineSink(write: (line: string) => void): Sink {
  const page = new Page()
  return {
    write,
    open() {
      page.clear()
      return page
    },
    close: () => write(page.toString()),
    flush() {},
  }
}

function countLines(bytes: Uint8Array, from: number): number {
  let lines = 0
  for (let at = bytes.indexOf(10, from); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1
  return lines
}

/** Blocks for some milliseconds; only where nothing can be awaited any more. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** What `createSink` needs to write to a file descriptor. */
export function descriptorWriter(fd: number): SinkDeps["write"] {
  return (bytes, offset) => writeSync(fd, bytes, offset)
}
