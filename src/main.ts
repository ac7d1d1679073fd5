/** argv to command. The only file that reads `process.argv` and ends the process. */
import { commands } from "./cli/commands.ts"
import { createIo } from "./cli/io.ts"
import { liftRequestLimit } from "./cli/request-limit.ts"
import { run } from "./cli/run.ts"

const argv = process.argv.slice(2)

// Before anything is opened: replaces the process image once, keeping the PID (spec platform T5).
liftRequestLimit(argv, process)

const io = createIo(process)
const code = await run(argv, io, commands)
await io.flush()
process.exit(code)
