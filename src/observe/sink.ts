import { writeSync } from "node:fs"

/** Where finished lines go. */
export interface Sink {
  write(line: string): void
  /** Writes out what is buffered before it returns; safe in a crash handler. */
  flush(): void
}

/** Lines wait at most this long, in milliseconds, so that a burst costs one system call. */
const LINGER_MS = 20
/** Characters after which the buffer is written at once. */
const FULL = 32 * 1024

/** Collects lines and writes them to a file descriptor in bursts. */
export function descriptorSink(fd: number): Sink {
  let buffer = ""
  let timer: ReturnType<typeof setTimeout> | null = null

  function flush(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    if (buffer === "") return
    const bytes = Buffer.from(buffer)
    buffer = ""
    let done = 0
    try {
      while (done < bytes.length) done += writeSync(fd, bytes, done)
    } catch {
      // Nowhere left to say it: a closed terminal or a full disk must not take the server down.
    }
  }

  return {
    write(line) {
      buffer += line
      if (buffer.length >= FULL) flush()
      else if (timer === null) {
        timer = setTimeout(flush, LINGER_MS)
        timer.unref()
      }
    },
    flush,
  }
}
