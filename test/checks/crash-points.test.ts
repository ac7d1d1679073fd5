/**
 * kill -9 at every write of a credential's life, on the test build, whose crash points are armed by the environment; then a restart:
 * none is lost, doubled or half-written, and a rotated token is the one in use. F7 among them.
 */
import { expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rust } from "../store/rust.ts"
import { StartFailure, startPollux } from "../support/binary.ts"
import { until, within } from "../support/wait.ts"
import { storedRows } from "./support/database.ts"
import { PROVIDERS, type ProviderName, type Side } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const POINTS = ["begin", "before_commit", "after_commit"] as const
type Point = (typeof POINTS)[number]

const armed = (write: string, point: Point, passing = 1) => ({ POLLUX_FAULT: `${write}.${point}:${passing}` })

function start(provider: ProviderName, accounts: number, env: Readonly<Record<string, string>> = {}): Promise<Side> {
  return startSide(provider, { accounts, env, rotating: true, program: "pollux-faults" })
}

/** Waits for the death that was asked for. */
async function death(side: Side): Promise<void> {
  expect(await within("it dies at its crash point", side.pollux.exited())).toEqual({ code: null, signal: "SIGKILL" })
}

/** Adds seeds as an operator would; true when they were acknowledged. */
async function add(side: Side, tokens: readonly string[]): Promise<boolean> {
  const sent = side.pollux.api(`/${side.upstream.provider}/resource:add`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(tokens.map((refresh_token) => ({ refresh_token }))),
  })
  return sent.then(({ status }) => status === 202).catch(() => false)
}

/** Outcomes of the seeds, once none is pending any more. */
async function outcomes(side: Side): Promise<readonly { readonly status: string; readonly reason?: string }[]> {
  return until(
    "every seed has its outcome",
    async () => {
      const shown = JSON.parse(await (await side.pollux.api(`/${side.upstream.provider}/resource:list`)).text())
      const open = shown.seeds.some(({ status }: { status: string }) => status === "pending")
      return open || shown.seeds.length === 0 ? null : shown.seeds
    },
    20_000,
  )
}

/** Stops Pollux and looks at its file: each account once, with the token that the upstream takes. */
async function expectWhole(side: Side, accounts: number): Promise<void> {
  await side.pollux.stop()
  const rows = storedRows(side.pollux.cwd, side.upstream.provider)
  expect(rows).toHaveLength(accounts)
  expect(new Set(rows.map(({ sub }) => sub)).size).toBe(accounts)
  const newest = side.upstream.tokens()
  for (const { refresh_token } of rows) {
    expect(newest).toContain(refresh_token)
    expect(side.upstream.takes(refresh_token)).toBeTrue()
  }
}

/** Each credential can be renewed with what is stored, and serves. */
async function expectServing(side: Side): Promise<void> {
  for (const { id } of await side.list()) {
    const response = await side.pollux.api(`/${side.upstream.provider}/resource:refresh`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id }),
    })
    expect([response.status, await response.text()]).toEqual([200, expect.any(String)])
  }
  expect((await side.ask()).status).toBe(200)
}

/** Steps of a seed on its way to a credential. */
const INGEST = ["seeds", "seed_intent", "seed_held", "adopt"] as const

for (const provider of PROVIDERS) {
  for (const write of INGEST) {
    for (const point of POINTS) {
      test.concurrent(`${provider}: kill -9 at ${write}.${point} of an import loses no credential`, async () => {
        await using side = await start(provider, 1)
        await side.restart({ env: armed(write, point) })
        const seeds = [side.upstream.add()]
        const acknowledged = await add(side, seeds)
        await death(side)
        await side.restart({ env: {} })
        // 202 means stored. Without it the operator sends them again, which must not double what was stored after all.
        if (write === "seeds") expect(acknowledged).toBeFalse()
        if (!acknowledged) expect(await add(side, seeds)).toBeTrue()
        const ended = await outcomes(side)
        // The answer with the new tokens was on the wire, or not yet written down: the one thing that can be lost, and it is told.
        const lost = write === "seed_held" && point !== "after_commit" ? 1 : 0
        expect(ended.filter(({ status }) => status === "failed").map(({ reason }) => reason)).toEqual(
          lost === 0 ? [] : [side.upstream.deadReason],
        )
        await expectServing(side)
        await expectWhole(side, 2 - lost)
      })
    }
  }

  for (const point of POINTS) {
    test.concurrent(`${provider}: kill -9 at intend.${point} of a refresh leaves the token unspent, and it is tried again`, async () => {
      await using side = await start(provider, 2)
      const [before] = side.upstream.tokens()
      await side.restart({ env: armed("intend", point) })
      const refresh = side.verb("refresh", 0).catch(() => null)
      await death(side)
      expect(await refresh).toBeNull()
      expect(side.upstream.takes(before ?? "")).toBeTrue()
      await side.restart({ env: {} })
      // The process that died may have sent it, for all that the next one knows.
      expect((await side.shown(0)).ambiguousRefresh).toBe(point === "after_commit")
      await expectServing(side)
      expect((await side.shown(0)).ambiguousRefresh).toBeFalse()
      await expectWhole(side, 2)
    })

    const kept = point === "after_commit"
    test.concurrent(`F7: ${provider}: kill -9 at rotate.${point}, after the refresh was answered: ${kept ? "the new token is in use" : "the old one in full, and its loss is shown"}`, async () => {
      await using side = await start(provider, 2)
      const { upstream } = side
      const [old = ""] = upstream.tokens()
      await side.restart({ env: armed("rotate", point) })
      const refresh = side.verb("refresh", 0).catch(() => null)
      await death(side)
      expect(await refresh).toBeNull()
      const [fresh = ""] = upstream.tokens()
      expect(fresh).not.toBe(old)
      const stored = storedRows(side.pollux.cwd, provider).find(({ id }) => id === side.ids[0])
      expect(stored?.refresh_token).toBe(kept ? fresh : old)

      await side.restart({ env: {} })
      // The old access token serves on for as long as it lives.
      for (let i = 0; i < 4; i++) expect((await side.ask()).status).toBe(200)
      if (kept) {
        expect(await side.shown(0)).toMatchObject({ state: "ready", ambiguousRefresh: false, refreshDead: null })
        await expectServing(side)
        return expectWhole(side, 2)
      }
      const lost = await until("the loss is found out", async () => {
        const shown = await side.shown(0)
        return shown.refreshDead === null ? null : shown
      })
      expect(lost.refreshDead).toBe(upstream.deadReason)
      upstream.expire(0)
      for (let i = 0; i < 4; i++) expect((await side.ask()).status).toBe(200)
      expect(await side.shown(0)).toMatchObject({ state: "parked", reason: "needs_login" })
      expect((await side.list()).map(({ state }) => state).toSorted()).toEqual(["parked", "ready"])
    })
  }
}

/** Verdicts that hold a credential back, with what is shown of it afterwards. */
const PENALTIES = [
  { name: "a cooldown", provider: "codex", trouble: { limited: 7_200 }, state: "cooling" },
  { name: "a cooldown", provider: "geminicli", trouble: { limited: 7_200 }, state: "cooling" },
  {
    name: "a ban",
    provider: "codex",
    trouble: { status: 401, body: { error: { code: "account_deactivated", message: "Deactivated." } } },
    state: "banned",
  },
  {
    name: "a parking",
    provider: "geminicli",
    trouble: { status: 403, body: { error: { code: 403, status: "PERMISSION_DENIED", message: "No." } } },
    state: "parked",
  },
] as const

for (const { name, provider, trouble, state } of PENALTIES) {
  for (const point of POINTS) {
    test.concurrent(`${provider}: kill -9 at note.${point} of ${name} leaves the credential as it was, or held back in full`, async () => {
      await using side = await start(provider, 2)
      // The first thing noted is the error that was seen.
      await side.restart({ env: armed("note", point, 2) })
      side.upstream.trouble(trouble, 0)
      for (let i = 0; i < 2; i++) await side.ask().catch(() => null)
      await death(side)
      await side.restart({ env: {} })
      expect((await side.shown(0)).state).toBe(point === "after_commit" ? state : "ready")
      for (let i = 0; i < 3; i++) expect((await side.ask()).status).toBe(200)
      await side.pollux.stop()
      expect(storedRows(side.pollux.cwd, provider)).toHaveLength(2)
    })
  }
}

for (const point of POINTS) {
  test.concurrent(`kill -9 at migrate.${point} leaves an old database, or a new one, and loses no credential`, async () => {
    const cwd = mkdtempSync(join(tmpdir(), "pollux-migrate-"))
    try {
      rust(join(cwd, "data.db"), (db) => {
        for (const n of [1, 2, 3]) {
          db.run(`INSERT INTO codex (sub, account_id, refresh_token, access_token, expiry, created_at, updated_at)
            VALUES ('s${n}', 'a${n}', 'refresh-${n}', 'access-${n}', '2030-02-05T04:04:05Z', '2026-02-05T03:04:05Z', '2026-02-05T03:04:05Z')`)
        }
      })
      const before = storedRows(cwd, "codex")
      const failure = await startPollux({ cwd, program: "pollux-faults", env: armed("migrate", point) }).then(
        () => null,
        (error: unknown) => error,
      )
      expect(failure).toBeInstanceOf(StartFailure)
      expect(failure).toMatchObject({ signal: "SIGKILL" })
      expect(storedRows(cwd, "codex")).toEqual(before)
      await using pollux = await startPollux({ cwd })
      const list = JSON.parse(await (await pollux.api("/codex/resource:list")).text())
      expect(list.credentials).toHaveLength(3)
      await pollux.stop()
      expect(storedRows(cwd, "codex")).toEqual(before)
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  })
}
