/**
 * Fetches each URL of the command line as the relay would and prints one JSON line: which roots are trusted is settled when a
 * process starts, so tests over TLS need one of their own. Arguments: "fetcher" or "sender", "h1" or "h2", times at once, rounds, URL,
 * and what happens after each round: "hour" (it passes) or "reload".
 */
import type { Log } from "../../../src/observe/ports.ts"
import { createUpstreams, networkFailure } from "../../../src/relay/fetcher.ts"

const [way, mode, times, rounds, url = "", between] = process.argv.slice(2)
const warned: unknown[] = []
const ignore = (): void => undefined
const log: Log = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: (event, fields) => void warned.push([event, fields?.reason]),
  error: ignore,
  child: () => log,
}
const settings = { current: { enableMultiplexing: mode === "h2", proxy: null } }
let now = 0
const upstreams = createUpstreams({ settings, log, clock: { mono: () => now, wall: () => now } })

const one = async (): Promise<string> => {
  try {
    const answer = await upstreams[way === "sender" ? "sender" : "fetcher"](url, {
      method: "POST",
      headers: {},
      body: "x",
      signal: new AbortController().signal,
    })
    return Buffer.from(await answer.bytes()).toString()
  } catch (error) {
    return JSON.stringify(networkFailure(error))
  }
}

const answers: string[][] = []
for (let i = 0; i < Number(rounds); i++) {
  answers.push([...new Set(await Promise.all(Array.from({ length: Number(times) }, one)))])
  if (between === "hour") now += 3_600_000
  if (between === "reload") settings.current = { ...settings.current }
}
console.log(JSON.stringify({ answers, warned }))
process.exit(0)
