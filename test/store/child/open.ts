/** Opens a database as a program would: `open.ts PATH [stay|as-nobody]`; says why not, with the exit code for it. */
import { StoreError } from "../../../src/store/error.ts"
import { openStore } from "../../../src/store/open.ts"
import { HandClock, memoryLog } from "../support.ts"

const NOBODY = 65_534
const [, , path = "", mode = ""] = process.argv

// Root may write anywhere, so that what an ordinary user meets has to be met as one.
if (mode === "as-nobody" && process.getuid?.() === 0) {
  process.setgid?.(NOBODY)
  process.setuid?.(NOBODY)
}
try {
  const store = openStore({ path, clock: new HandClock(), log: memoryLog(), encryptionKey: null })
  process.stdout.write("opened\n")
  if (mode === "stay") await new Promise((resolve) => setTimeout(resolve, 60_000))
  store.close()
} catch (error) {
  if (!(error instanceof StoreError)) throw error
  process.stdout.write(`${error.message}\n`)
  process.exitCode = error.exitCode
}
