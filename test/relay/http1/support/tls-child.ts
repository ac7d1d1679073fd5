/**
 * Asks each URL of the command line, one after the other, and prints what comes of it as one JSON line: which roots are trusted is
 * settled when a process starts, so tests over TLS need one of their own.
 *
 * Arguments: the number of bytes to send each time, then URLs. Each outcome is a `TlsOutcome`.
 */
import { createHash } from "node:crypto"
import { systemClock, systemTimers } from "../../../../src/observe/clock.ts"
import { Http1Client } from "../../../../src/relay/http1/client.ts"
import { codeOf, networkFailure } from "../../../../src/relay/network.ts"

export type TlsOutcome =
  | { readonly status: number; readonly length: number; readonly sha256: string }
  /** Its body could not be read. */
  | { readonly status: number; readonly broken: string }
  | { readonly stage: string; readonly code: string }

const [size, ...urls] = process.argv.slice(2)
const client = new Http1Client(systemClock, systemTimers)
const body = new Uint8Array(Number(size)).map((_, i) => (i * 7) & 255)

async function one(url: string): Promise<TlsOutcome> {
  try {
    const signal = AbortSignal.timeout(20_000)
    const answer = await client.ask(url, { method: "POST", headers: {}, body, signal })
    const { status } = answer
    try {
      const bytes = await answer.bytes()
      return { status, length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }
    } catch (error) {
      return { status, broken: codeOf(error) }
    }
  } catch (error) {
    return { stage: networkFailure(error).stage, code: codeOf(error) }
  }
}

const outcomes: TlsOutcome[] = []
for (const url of urls) outcomes.push(await one(url))
console.log(JSON.stringify(outcomes))
process.exit(0)
