/** argv to command. The only file that reads `process.argv` and ends the process. */
import { liftRequestLimit } from "./cli/request-limit.ts"

const argv = process.argv.slice(2)

// Before anything is opened: replaces the process image once, keeping the PID (spec platform T5).
liftRequestLimit(argv, process)

// Loaded only now, so that the image that is replaced at once has nothing to load.
const [{ createIo }, { run }] = await Promise.all([import("./cli/io.ts"), import("./cli/run.ts")])

const io = createIo(process)
const code = await run(argv, io)
// A pipe may not have taken everything yet.
process.exit(await io.finish(code))
