/** Does one operation on a database: `child.ts OPERATION PATH`. The environment says where it dies. */
import { openStore } from "../../../src/store/open.ts"
import { memoryLog } from "../support.ts"
import { NOW, OPERATIONS } from "./operations.ts"

const [, , name = "", path = ""] = process.argv
const entry = Object.entries(OPERATIONS).find(([key]) => key === name)
if (entry === undefined) throw new Error(`no operation ${name}`)
const operation = entry[1]
let mono = 0
// Each reading a while later than the one before, so that a probe is due at once.
const clock = { mono: () => (mono += 10_000), wall: () => NOW }
const store = openStore({ path, clock, log: memoryLog(), encryptionKey: operation.key ?? null })
operation.run?.(store, path)
process.stdout.write("done")
store.close()
