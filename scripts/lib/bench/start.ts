/** How long it takes from the start of the executable to its first answer. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Calm } from "./calm.ts"
import { stockPool } from "./pool.ts"
import { freePort, Pinned } from "./processes.ts"
import { requestFor } from "./requests.ts"
import type { Start } from "./results.ts"
import { spread } from "./stats.ts"
import { KEY, type Place, polluxConfig } from "./subjects.ts"

/** Starts Pollux `rounds` times on a pool of this size; a pool of none is asked for its models. */
export async function measureStart(place: Place, credentials: number, rounds: number, calm: Calm): Promise<Start> {
  const cwd = join(place.folder, `start-${credentials}`)
  mkdirSync(cwd, { recursive: true })
  const port = await freePort()
  writeFileSync(join(cwd, "config.toml"), polluxConfig(port, place.plain.url, false))
  if (credentials > 0) stockPool(join(cwd, "data.db"), credentials, ["geminicli"])
  const asked = requestFor("geminicli", { api: "geminicli", order: "@unary 1024", prompt: 200 })
  const url = `http://127.0.0.1:${port}`
  const ask = (): Promise<Response> =>
    credentials === 0
      ? fetch(`${url}/geminicli/v1beta/models`, { headers: { authorization: `Bearer ${KEY}` } })
      : fetch(url + asked.path, { method: "POST", headers: asked.headers, body: asked.body })
  const start = async (): Promise<number> => {
    const began = performance.now()
    await using process = Pinned.start([place.executable], { cpus: place.cpus, cwd, env: {}, log: join(cwd, "log") })
    await firstAnswer(ask, process, began)
    return performance.now() - began
  }
  // The first one makes the database and fills the page cache.
  await start()
  const times: number[] = []
  for (let round = 0; round < rounds; round++) times.push(await calm.sample(start))
  return { credentials, ms: spread(times) }
}

async function firstAnswer(ask: () => Promise<Response>, process: Pinned, began: number): Promise<void> {
  while (!process.ended && performance.now() - began < 10_000) {
    try {
      const response = await ask()
      await response.arrayBuffer()
      if (response.status === 200) return
    } catch {
      // It does not listen yet.
    }
    await Bun.sleep(0.5)
  }
  throw new Error("Pollux gave no answer after its start")
}
