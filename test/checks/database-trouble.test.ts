/** F17: trouble with the database. Serving goes on where it can, readiness tells why, and a start that cannot be says what to do. */
import { Database } from "bun:sqlite"
import { afterAll, expect, test } from "bun:test"
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { startPollux } from "../support/binary.ts"
import { ensureBuilt } from "../support/build.ts"
import { until } from "../support/wait.ts"
import { storedRows } from "./support/database.ts"
import { limitedDisk, type SmallDisk, smallDisk } from "./support/disk.ts"
import { startLoad } from "./support/load.ts"
import { inFolder, refusal } from "./support/refused.ts"
import type { Side } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const NOBODY = 65_534
const AS_ROOT = process.getuid?.() === 0

interface Readiness {
  readonly status: number
  readonly reasons: readonly string[]
}

async function readiness({ pollux }: Side): Promise<Readiness> {
  const response = await pollux.api("/readyz")
  return { status: response.status, reasons: JSON.parse(await response.text()).reasons }
}

async function addSeed(side: Side): Promise<Response> {
  return side.pollux.api("/codex/resource:add", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify([{ refresh_token: side.upstream.add() }]),
  })
}

const DISKS: Readonly<Record<string, () => SmallDisk>> = {
  "that is full": smallDisk,
  "on which files may not grow": () => limitedDisk(mkdtempSync(join(tmpdir(), "pollux-disk-"))),
}

for (const [name, make] of Object.entries(DISKS)) {
  test.concurrent(`F17: on a disk ${name} requests are served, changes refused, and all is well again with room`, async () => {
    using disk = make()
    const { folder: cwd, through } = disk
    await using side = await startSide("codex", { accounts: 2, cwd, through })
    const { pollux, upstream } = side
    expect(await readiness(side)).toEqual({ status: 200, reasons: [] })
    disk.fill(pollux.pid)
    const refused = await until("a change is refused", async () => {
      const response = await addSeed(side)
      return response.status === 202 ? null : response
    })
    expect(refused.status).toBe(503)
    expect(await refused.text()).toContain("the database could not be written")
    const told = await readiness(side)
    expect(told.status).toBe(503)
    expect(told.reasons.join()).toMatch(/data\.db cannot (?:grow|be read or written).*free/)
    for (let i = 0; i < 10; i++) {
      const response = await (i % 2 === 0 ? side.ask(`n${i}`) : side.stream(`n${i}`))
      expect(upstream.textOf(await response.text())).toBe(upstream.said(`n${i}`))
    }
    // A rotation that could not be stored is not begun: the token stays unspent.
    const [token = ""] = upstream.tokens()
    expect((await side.verb("refresh", 0)).status).toBe(409)
    expect(upstream.takes(token)).toBeTrue()

    disk.free(pollux.pid)
    await until("it is ready again", async () => (await readiness(side)).status === 200)
    const before = (await side.list()).length
    expect((await addSeed(side)).status).toBe(202)
    await until("the new one is in the pool", async () => (await side.list()).length > before)
    expect((await side.verb("refresh", 0)).status).toBe(200)
    const shown = (await side.list()).length
    await side.restart()
    expect(await side.list()).toHaveLength(shown)
    expect((await side.ask()).status).toBe(200)
  })
}

test.concurrent("F17: locked for 3 s by another program, no request fails, and readiness tells", async () => {
  await using side = await startSide("codex", { accounts: 2 })
  const { upstream, pollux } = side
  const load = startLoad(50, async (number) => {
    const response = await (number % 2 === 0 ? side.ask(`n${number}`) : side.stream(`n${number}`))
    const text = await response.text()
    return response.status === 200 && upstream.textOf(text) === upstream.said(`n${number}`) ? null : text
  })
  await Bun.sleep(300)
  const other = new Database(join(pollux.cwd, "data.db"))
  other.run("BEGIN IMMEDIATE")
  const lockedAt = performance.now()
  const refused = await addSeed(side)
  expect(refused.status).toBe(503)
  expect(await refused.text()).toContain("the database could not be written")
  const told = await readiness(side)
  expect(told).toMatchObject({ status: 503, reasons: [expect.stringContaining("locked by another program")] })
  // A token that runs out meanwhile is not renewed, since its rotation could not be stored; the other account serves.
  const refreshes = upstream.tokenCalls()
  upstream.expire(0)
  await Bun.sleep(3_000 - (performance.now() - lockedAt))
  expect(upstream.tokenCalls()).toBe(refreshes)
  other.run("ROLLBACK")
  other.close(true)
  await until("it is ready again", async () => (await readiness(side)).status === 200, 3_000)
  expect((await addSeed(side)).status).toBe(202)
  await until("the token is renewed after all", () => upstream.tokenCalls() > refreshes)
  const { sent, failures } = await load.stop()
  expect(failures).toEqual([])
  expect(sent).toBeGreaterThan(100)
})

test.concurrent("F17: tokens won while the database is locked are kept, leased to nobody before they are stored, and stored after all", async () => {
  await using side = await startSide("codex")
  const { upstream, pollux } = side
  upstream.expire(0)
  upstream.tokenTrouble({ late: 500 })
  const refreshes = upstream.tokenCalls()
  const asked = side.ask("patience")
  await until("the refresh is sent", () => upstream.tokenCalls() > refreshes)
  const other = new Database(join(pollux.cwd, "data.db"))
  other.run("BEGIN IMMEDIATE")
  await pollux.logged("tokens could not be stored; they are kept in memory and tried again")
  await Bun.sleep(500)
  expect(upstream.calls().map(({ status }) => status)).toEqual([401])
  other.run("ROLLBACK")
  other.close(true)
  await pollux.logged("tokens are stored after all")
  expect((await asked).status).toBe(200)
  expect(upstream.tokenCalls() - refreshes).toBe(1)
  await pollux.kill()
  const [stored] = storedRows(pollux.cwd, "codex")
  expect(upstream.takes(stored?.refresh_token ?? "")).toBeTrue()
})

test.concurrent("F17: locked at the start for 3 s, it waits; for longer, it ends with code 75 and says why", async () => {
  await inFolder(async (cwd) => {
    await (await startPollux({ cwd })).stop()
    const other = new Database(join(cwd, "data.db"))
    other.run("BEGIN IMMEDIATE")
    setTimeout(() => other.run("ROLLBACK"), 3_000)
    const began = performance.now()
    await (await startPollux({ cwd })).stop()
    expect(performance.now() - began).toBeGreaterThan(2_900)
    other.run("BEGIN IMMEDIATE")
    const failure = await refusal({ cwd })
    other.run("ROLLBACK")
    other.close(true)
    expect(failure.code).toBe(75)
    expect(failure.output).toMatch(/data\.db is locked by another program.*close what has it open/)
  })
})

test.concurrent("F17: a second Pollux on the same database ends with code 75 and names the first one's lock", async () => {
  await using side = await startSide("codex")
  const failure = await refusal({ cwd: side.pollux.cwd })
  expect(failure.code).toBe(75)
  expect(failure.output).toContain("another Pollux uses the database")
  expect((await side.ask()).status).toBe(200)
})

test.concurrent("F17: a database damaged while it serves costs no request, and the next start ends with code 65", async () => {
  await inFolder(async (cwd) => {
    await using side = await startSide("codex", { accounts: 20, cwd })
    const { pollux } = side
    await side.restart()
    const path = join(cwd, "data.db")
    const bytes = readFileSync(path)
    bytes.fill(0x5a, 4_096)
    writeFileSync(path, bytes)
    for (let i = 0; i < 10; i++) expect((await side.ask()).status).toBe(200)
    expect((await fetch(`${pollux.url}/healthz`)).status).toBe(200)
    await pollux.kill()
    const failure = await refusal({ cwd })
    expect(failure.code).toBe(65)
    expect(failure.output).toMatch(/data\.db is damaged.*restore a backup/)
  })
})

/** Starts that cannot be: what is done to the folder of a database that was in use, and what the operator is told. */
const REFUSED: readonly {
  readonly name: string
  readonly spoil: (cwd: string) => void
  readonly through?: readonly string[]
  readonly code: number
  readonly says: RegExp
}[] = [
  {
    name: "is no database",
    spoil: (cwd) => writeFileSync(join(cwd, "data.db"), "text ".repeat(999)),
    code: 65,
    says: /data\.db is not an SQLite database.*point basic\.database_url/,
  },
  {
    name: "cannot grow, since the disk is full,",
    spoil: (cwd) => {
      for (const file of readdirSync(cwd)) if (file.startsWith("data.db")) rmSync(join(cwd, file))
    },
    through: ["sh", "-c", `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`],
    code: 74,
    says: /data\.db cannot .*free/,
  },
  {
    name: "is read-only for its user",
    spoil: (cwd) => {
      chmodSync(cwd, 0o755)
      for (const file of readdirSync(cwd)) chmodSync(join(cwd, file), file.startsWith("data.db") ? 0o444 : 0o644)
      chmodSync(join(cwd, "data.db.lock"), 0o666)
    },
    through: unprivileged(),
    code: 73,
    says: /data\.db is read-only.*make the file and its directory writable/,
  },
  {
    name: "cannot be made, since its directory is read-only,",
    spoil: (cwd) => {
      for (const file of readdirSync(cwd)) if (file.startsWith("data.db")) rmSync(join(cwd, file))
      chmodSync(join(cwd, "config.toml"), 0o644)
      chmodSync(cwd, 0o555)
    },
    through: unprivileged(),
    code: 77,
    says: /data\.db.*not writable for the user that runs Pollux/,
  },
]

for (const { name, spoil, through, code, says } of REFUSED) {
  test.concurrent(`F17: a start on a database that ${name} ends with code ${code} and says what to do`, async () => {
    await inFolder(async (cwd) => {
      await using stack = new AsyncDisposableStack()
      const pollux = stack.use(await startPollux({ cwd }))
      await pollux.stop()
      spoil(cwd)
      const { stdout, exited } = Bun.spawn([...(through ?? []), await ensureBuilt(), "--config", "config.toml"], {
        cwd,
        stdout: "pipe",
        stderr: "inherit",
        env: { PATH: process.env.PATH },
      })
      const [output, ended] = await Promise.all([new Response(stdout).text(), exited])
      chmodSync(cwd, 0o700)
      expect({ ended, output }).toEqual({ ended: code, output: expect.stringMatching(says) })
      expect(output).not.toMatch(/\bat \S+:\d+:\d+/)
    })
  })
}

/** As a user to whom modes apply. The executable is taken along, since it may stand where only the superuser can go. */
function unprivileged(): readonly string[] {
  if (!AS_ROOT) return []
  const program = join(mkdtempSync(join(tmpdir(), "pollux-program-")), "pollux")
  afterAll(() => rmSync(dirname(program), { recursive: true, force: true }))
  const become = `exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups ${program} "$@"`
  return ["sh", "-c", `cp "$0" ${program} && chmod -R a+rx ${dirname(program)} && ${become}`]
}
