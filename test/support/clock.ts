/** Moves the clock of a test build while it serves. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export class MovedClock implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "pollux-clock-"))
  readonly #path = join(this.#folder, "clock.json")
  #mono = 0
  #wall = 0

  constructor() {
    this.#write()
  }

  /** Environment for the program under test. */
  get env(): Readonly<Record<string, string>> {
    return { POLLUX_FAULT_CLOCK: this.#path }
  }

  /** Lets time pass. Timers that are set already do not notice, but every request looks for what is due. */
  pass(ms: number): void {
    this.#mono += ms
    this.#wall += ms
    this.#write()
  }

  /** Sets the wall clock forward or back, as an operator or a time server does. */
  jump(ms: number): void {
    this.#wall += ms
    this.#write()
  }

  /** In one step: it is read at any moment. */
  #write(): void {
    writeFileSync(`${this.#path}.new`, JSON.stringify({ mono: this.#mono, wall: this.#wall }))
    renameSync(`${this.#path}.new`, this.#path)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
