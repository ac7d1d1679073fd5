/**
 * Fetches each URL of the command line as the relay would and prints one JSON line: which roots are trusted is settled when a
 * process starts, so tests over TLS need one of their own. Arguments: "h1" or "h2", times at once, rounds, URL.
 */
import type { Log } from "../../../src/observe/ports.ts"
import { createFetcher, networkFailure } from "../../../src/relay/fetcher.ts"

const [mode, times, rounds, url = ""] = process.argv.slice(2)
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
const fetcher = createFetcher({ settings: { current: { enableMultiplexing: mode === "h2", proxy: null } }, log })

const one = async (): Promise<string> => {
  try {
    const response = await fetcher(url, {
      method: "POST",
      headers: {},
      body: "x",
      signal: new AbortController().signal,
    })
    return await response.text()
  } catch (error) {
    return JSON.stringify(networkFailure(error))
  }
}

const answers: string[][] = []
for (let i = 0; i < Number(rounds); i++) {
  answers.push([...new Set(await Promise.all(Array.from({ length: Number(times) }, one)))])
}
console.log(JSON.stringify({ answers, warned }))
process.exit(0)
