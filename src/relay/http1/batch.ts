/** Something to be done at the end of a turn. Must not throw. */
export interface Due {
  due(): void
}

/**
 * Puts off to the end of an event loop's turn what its events lead to: first what is written, then what is told.
 *
 * Whoever is written to wakes up, and where he slept that costs as much as all else that is done for a request (5 microseconds on
 * a virtual machine). Requests that came in together so go out together, answers likewise: 34 instead of 52 microseconds a
 * request at 64 connections. A request that is alone loses nothing, since its turn ends with it.
 */
export class Batch {
  private writes: Due[] = []
  private tidings: Due[] = []
  private armed = false

  write(due: Due): void {
    this.writes.push(due)
    this.arm()
  }

  tell(due: Due): void {
    this.tidings.push(due)
    this.arm()
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    setImmediate(this.flush)
  }

  private readonly flush = (): void => {
    const { writes, tidings } = this
    this.armed = false
    this.writes = []
    this.tidings = []
    for (const due of writes) due.due()
    for (const due of tidings) due.due()
  }
}
