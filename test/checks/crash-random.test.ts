/**
 * kill -9 at any instant, under mixed traffic with tokens that rotate all the time. What may be lost is a rotation whose answer was
 * on the wire, and that is shown; everything else is there once, whole, and the newest.
 *
 * POLLUX_TEST_SEED repeats the instants of a run, as far as a machine can.
 */
import { expect, test } from "bun:test"
import { until } from "../support/wait.ts"
import { storedRows } from "./support/database.ts"
import { PROVIDERS, type Side } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const RUN_MS = 18_000
/** Longest time from a renewal's request to its commit on a busy machine, in milliseconds. */
const WIRE_MS = 150
const SEED = Number(process.env.POLLUX_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** Small, and the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface Listed {
  readonly credentials: readonly {
    readonly id: number
    readonly state: string
    readonly refreshDead: string | null
    readonly ambiguousRefresh: boolean
  }[]
  readonly seeds: readonly { readonly status: string; readonly reason?: string }[]
}

async function listed(side: Side): Promise<Listed> {
  return JSON.parse(await (await side.pollux.api(`/${side.upstream.provider}/resource:list`)).text())
}

/** Requests, renewals and imports until the process dies; what fails by its death is nobody's fault. */
async function traffic(side: Side, random: () => number, alive: () => boolean, added: string[]): Promise<void> {
  const post = (verb: string, body: unknown) =>
    side.pollux.api(`/${side.upstream.provider}/${verb}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    })
  const asking = async (worker: number) => {
    for (let i = 0; alive(); i++) {
      const question = { headers: { "session-id": `session-${(worker + i) % 7}` } }
      const response = await (i % 3 === 0 ? side.stream(undefined, question) : side.ask("x", question))
      await response.text()
    }
  }
  const renewing = async () => {
    while (alive()) {
      const { credentials } = await listed(side)
      const chosen = credentials[Math.floor(random() * credentials.length)]
      if (chosen !== undefined) await (await post("resource:refresh", { id: chosen.id })).text()
      await Bun.sleep(random() * 30)
    }
  }
  const importing = async () => {
    await Bun.sleep(random() * 300)
    if (!alive() || added.length >= 12) return
    const token = side.upstream.add()
    const response = await post("resource:add", [{ refresh_token: token }])
    if (response.status === 202) added.push(token)
  }
  const died = (error: unknown) => {
    if (alive()) throw error
  }
  await Promise.all([...[0, 1, 2, 3].map(asking), renewing(), importing()].map((work) => work.catch(died)))
}

for (const provider of PROVIDERS) {
  test.concurrent(`${provider}: kill -9 again and again at random instants loses no credential, and doubles none`, async () => {
    console.log(`${provider}: POLLUX_TEST_SEED=${SEED}`)
    const random = generator(SEED)
    const options = { accounts: 3, rotating: true, accessSeconds: 3, basic: { loglevel: "info" } } as const
    await using side = await startSide(provider, { ...options, extra: { oauth_tps: 50 } })
    const { upstream, pollux } = side
    const added = [...upstream.tokens()]
    const deadline = performance.now() + RUN_MS
    let kills = 0
    /** Renewals that may have been under way when it was killed: all that may be lost. */
    let onWire = 0
    while (performance.now() < deadline) {
      let alive = true
      const busy = traffic(side, random, () => alive, added)
      await Bun.sleep(30 + random() * 500)
      alive = false
      const killedAt = Date.now()
      await pollux.kill()
      kills++
      onWire += upstream.tokenTimes().filter((at) => at > killedAt - WIRE_MS).length
      await busy
      // Whole after every death.
      const subs = storedRows(pollux.cwd, provider).map(({ sub }) => sub)
      expect(new Set(subs).size).toBe(subs.length)
      await side.restart()
    }
    // How many fit into the time is the machine's affair; that some did is ours.
    expect(kills).toBeGreaterThan(2)

    // Time for what was ambiguous to be found out, and for imports to end.
    const doubtful = async () => {
      const { credentials, seeds } = await listed(side)
      const pending = seeds.filter(({ status }) => status === "pending")
      return [...pending, ...credentials.filter(({ ambiguousRefresh }) => ambiguousRefresh)]
    }
    await until("nothing is in doubt", async () => (await doubtful()).length === 0, 30_000).catch(() => {})
    expect(await doubtful()).toEqual([])
    const settled = await listed(side)
    await pollux.stop()
    const rows = storedRows(pollux.cwd, provider)
    const lostSeeds = settled.seeds.filter(({ status }) => status === "failed")
    // Every seed that was acknowledged is a credential, or its loss on the wire is on record.
    expect(rows.length + lostSeeds.length).toBeGreaterThanOrEqual(added.length)
    expect(new Set(rows.map(({ sub }) => sub)).size).toBe(rows.length)
    for (const { reason } of lostSeeds) expect(reason).toBe(upstream.deadReason)
    for (const { id, refresh_token } of rows) {
      const shown = settled.credentials.find((credential) => credential.id === id)
      // The token in the file is the one that the upstream takes, or the credential says that it needs a login.
      if (shown?.refreshDead === null) expect(upstream.takes(refresh_token)).toBeTrue()
      else expect(shown?.refreshDead).toBe(upstream.deadReason)
    }
    const dead = settled.credentials.filter(({ refreshDead }) => refreshDead !== null)
    console.log(`${provider}: ${kills} kills, ${rows.length} credentials, ${dead.length} lost on the wire`)
    expect(dead.length + lostSeeds.length).toBeLessThanOrEqual(onWire)
    expect(pollux.leaks()).toEqual([])
  }, 90_000)
}
