import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Log, LogFields } from "../../src/observe/ports.ts"
import { openStore, type Store } from "../../src/store/open.ts"
import type { Identity, TokenSet } from "../../src/store/types.ts"

/** A clock that a test sets by hand. */
export class HandClock {
  now = Date.UTC(2026, 5, 1, 12)
  mono = (): number => this.now
  wall = (): number => this.now
}

export interface Line {
  readonly level: string
  readonly event: string
  readonly fields: LogFields
}

/** A log that keeps its lines. */
export function memoryLog(lines: Line[] = []): Log & { readonly lines: Line[] } {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      lines.push({ level, event, fields })
    }
  return {
    lines,
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: () => memoryLog(lines),
  }
}

/** An own directory, removed when the test ends. */
export class Scratch implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "pollux-store-"))
  path(name = "data.db"): string {
    return join(this.dir, name)
  }
  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true })
  }
}

export interface Opened {
  readonly store: Store
  readonly clock: HandClock
  readonly lines: Line[]
}

export interface OpenOptions {
  readonly key?: string | null
  readonly previous?: readonly string[]
  readonly now?: number
}

export function open(path: string, options: OpenOptions = {}): Opened {
  const clock = new HandClock()
  clock.now = options.now ?? clock.now
  const log = memoryLog()
  const store = openStore({
    path,
    clock,
    log,
    encryptionKey: options.key ?? null,
    previousKeys: options.previous ?? [],
  })
  return { store, clock, lines: log.lines }
}

export const tokens = (name: string, expiresAt = Date.UTC(2026, 5, 1, 13)): TokenSet => ({
  accessToken: `access-${name}`,
  refreshToken: `refresh-${name}`,
  expiresAt,
  idToken: null,
})

export const who = (name: string, more: Partial<Identity> = {}): Identity => ({
  sub: `sub-${name}`,
  account: `account-${name}`,
  email: `${name}@example.test`,
  plan: null,
  ...more,
})
