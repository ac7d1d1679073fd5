/** Adopts credentials until the database cannot grow: `fill.ts PATH`; tells how many were stored and what it was told. */
import { StoreError } from "../../../src/store/error.ts"
import { openStore } from "../../../src/store/open.ts"
import { HandClock, memoryLog, tokens, who } from "../support.ts"

const [, , path = ""] = process.argv
const clock = new HandClock()
const store = openStore({ path, clock, log: memoryLog(), encryptionKey: null })
const source = store.source("codex")
let stored = 0
try {
  for (; stored < 10_000; stored++) {
    const name = String(stored)
    source.adopt(null, { ...tokens(name), accessToken: name.repeat(2000) }, who(name), clock.now)
  }
} catch (error) {
  if (!(error instanceof StoreError)) throw error
  clock.now += 5000
  process.stdout.write(JSON.stringify({ stored, exitCode: error.exitCode, trouble: store.trouble() ?? error.message }))
}
