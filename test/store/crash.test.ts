import { Database } from "bun:sqlite"
import { afterAll, beforeAll, expect, test } from "bun:test"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { WRITES, type WriteName } from "../../src/store/connection.ts"
import { furnish, KEY, NOW, OPERATIONS } from "./crash/operations.ts"
import { open, Scratch } from "./support.ts"

const POINTS = ["begin", "before_commit", "after_commit"] as const

// One file starts three times as fast as the sources, and this suite starts many.
const build = new Scratch()
const CHILD = build.path("child.js")

beforeAll(async () => {
  await Bun.build({
    entrypoints: [join(import.meta.dir, "crash/child.ts")],
    outdir: build.dir,
    target: "bun",
    define: { POLLUX_FAULTS: "true" },
  })
})

afterAll(() => build[Symbol.dispose]())

/** Everything in the database but what says when it was last probed, tokens opened. */
function contents(path: string, key: string | null): unknown {
  const { store } = open(path, { key, now: NOW })
  const opened = ["geminicli", "codex"].map((provider) => {
    const source = store.source(provider)
    return { stored: source.load(), seeds: source.pendingSeeds(), outcomes: source.seedRecords(100) }
  })
  store.close()
  const db = new Database(path)
  const tables = db
    .query<{ name: string }, []>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'write_probe' ORDER BY name",
    )
    .all()
  const secret = new Set(["refresh_token", "access_token", "held"])
  const rows = tables.map(({ name }) => [
    name,
    db
      .query<Record<string, unknown>, []>(`SELECT * FROM "${name}"`)
      .all()
      .map((row) => Object.fromEntries(Object.entries(row).filter(([column]) => !secret.has(column)))),
  ])
  db.close(true)
  return { opened, rows }
}

async function child(name: WriteName, path: string, fault: string) {
  const subprocess = Bun.spawn([process.execPath, CHILD, name, path], {
    env: { ...process.env, POLLUX_FAULT: fault },
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err] = await Promise.all([
    new Response(subprocess.stdout).text(),
    new Response(subprocess.stderr).text(),
    subprocess.exited,
  ])
  return { out, err, signal: subprocess.signalCode }
}

for (const name of WRITES) {
  test(`kill -9 anywhere in ${name} leaves the old or the new, in full`, async () => {
    using scratch = new Scratch()
    const { before, key = null, passing = 1 } = OPERATIONS[name]
    const base = scratch.path("base.db")
    if (name !== "migrate") {
      const { store } = open(base, { now: NOW })
      furnish(store)
      store.close()
    }
    before?.(base)
    const copy = (label: string): string => {
      cpSync(base, scratch.path(`${label}.db`))
      return scratch.path(`${label}.db`)
    }

    const oldContents = contents(copy("old"), key)
    const done = open(copy("new"), { key, now: NOW })
    OPERATIONS[name].run?.(done.store, scratch.path("new.db"))
    done.store.close()
    const newContents = contents(scratch.path("new.db"), key)

    await Promise.all(
      POINTS.map(async (point) => {
        const path = copy(point)
        const died = await child(name, path, `${name}.${point}:${passing}`)
        expect(died).toEqual({ out: "", err: "", signal: "SIGKILL" })
        // Whatever happens only when the database is opened is made up for when it is opened again.
        expect(contents(path, key)).toEqual(point === "after_commit" ? newContents : oldContents)
      }),
    )
  }, 20_000)
}

test("the operations change something, so that old and new can be told apart", async () => {
  using scratch = new Scratch()
  const quiet = new Set<WriteName>(["migrate", "reconcile", "encrypt", "probe"])
  for (const name of WRITES.filter((name) => !quiet.has(name))) {
    const path = scratch.path(`${name}.db`)
    const { store } = open(path, { now: NOW })
    furnish(store)
    store.close()
    const before = contents(path, null)
    const again = open(path, { now: NOW })
    OPERATIONS[name].run?.(again.store, path)
    again.store.close()
    expect({ name, contents: contents(path, null) }).not.toEqual({ name, contents: before })
  }
})

test("a kill in the middle of encrypting leaves every token plain or every token encrypted", async () => {
  for (const [point, encrypted] of [
    ["before_commit", false],
    ["after_commit", true],
  ] as const) {
    using scratch = new Scratch()
    const { store } = open(scratch.path(), { now: NOW })
    furnish(store)
    store.close()
    await child("encrypt", scratch.path(), `encrypt.${point}`)
    const db = new Database(scratch.path())
    const rows = db
      .query<{ value: string }, []>(
        `SELECT refresh_token AS value FROM codex UNION ALL SELECT access_token FROM codex
         UNION ALL SELECT refresh_token FROM seeds WHERE refresh_token IS NOT NULL
         UNION ALL SELECT held FROM seeds WHERE held IS NOT NULL`,
      )
      .all()
    db.close(true)
    expect(rows).toHaveLength(7)
    for (const { value } of rows) expect(value.startsWith("pxe1:")).toBe(encrypted)
    open(scratch.path(), { key: KEY }).store.close()
  }
})
