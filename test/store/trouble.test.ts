import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { StoreError } from "../../src/store/error.ts"
import { IN_MEMORY, openStore, type Store } from "../../src/store/open.ts"
import { HandClock, memoryLog, open, Scratch, tokens, who } from "./support.ts"

const NOW = Date.UTC(2026, 5, 1, 12)

/** The error that a call ends in. */
function failure(work: () => unknown): StoreError {
  try {
    work()
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}

const CHILD = join(import.meta.dir, "child/open.ts")

/** Runs a program of test/store/child with arguments; the shell line may set limits before it. */
async function run(args: readonly string[], shell = 'exec "$@"') {
  const subprocess = Bun.spawn(["bash", "-c", shell, "bash", process.execPath, ...args], {
    stdout: "pipe",
    stderr: "pipe",
  })
  const [out, err, code] = await Promise.all([
    new Response(subprocess.stdout).text(),
    new Response(subprocess.stderr).text(),
    subprocess.exited,
  ])
  return { out, err, code }
}

describe("one process for each database", () => {
  test("a second process is told who holds it, and exits 75", async () => {
    using scratch = new Scratch()
    const { store } = open(scratch.path())
    const second = await run([CHILD, scratch.path()])
    expect(second.code).toBe(75)
    expect(second.out).toContain(`another Pollux uses the database ${scratch.path()}`)
    expect(second.out).toContain(`${scratch.path()}.lock`)
    store.close()
    expect(await run([CHILD, scratch.path()])).toEqual({ out: "opened\n", err: "", code: 0 })
  })

  test("a second store in one process, also by another name for the file, is refused", () => {
    using scratch = new Scratch()
    const { store } = open(scratch.path())
    symlinkSync(scratch.path(), scratch.path("link.db"))
    expect(failure(() => open(scratch.path())).exitCode).toBe(75)
    expect(failure(() => open(scratch.path("link.db"))).exitCode).toBe(75)
    store.close()
    open(scratch.path("link.db")).store.close()
  })

  test("a claim dies with its process", async () => {
    using scratch = new Scratch()
    const holder = Bun.spawn([process.execPath, CHILD, scratch.path(), "stay"], { stdout: "pipe" })
    const reader = holder.stdout.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("opened\n")
    expect(failure(() => open(scratch.path())).exitCode).toBe(75)
    holder.kill("SIGKILL")
    await holder.exited
    open(scratch.path()).store.close()
  })

  test("a start that fails gives the claim up", () => {
    using scratch = new Scratch()
    writeFileSync(scratch.path(), "no database")
    expect(failure(() => open(scratch.path())).exitCode).toBe(65)
    writeFileSync(scratch.path(), "")
    open(scratch.path()).store.close()
  })
})

describe("a start that cannot be", () => {
  test.each<[string, string, (scratch: Scratch) => void, number, string[]]>([
    [
      "a file that is no database",
      "data.db",
      (s) => writeFileSync(s.path(), "text ".repeat(999)),
      65,
      ["not an SQLite"],
    ],
    ["a directory that is not there", "none/data.db", () => {}, 73, ["does not exist", "create it"]],
    ["a path through a file", "f/data.db", (s) => writeFileSync(s.path("f"), ""), 73, ["not a directory"]],
    ["a directory in place of the file", "d", (s) => mkdirSync(s.path("d")), 73, ["cannot be opened"]],
  ])("for %s says what is wrong and what to do", (_, name, make, exitCode, words) => {
    using scratch = new Scratch()
    make(scratch)
    const error = failure(() => open(scratch.path(name)))
    expect(error.exitCode).toBe(exitCode)
    for (const word of [scratch.path(name), ...words]) expect(error.message).toContain(word)
  })

  test.each(["seeds", "codex"])("for another program's database, which has a table %s, says so", (table) => {
    using scratch = new Scratch()
    const other = new Database(scratch.path())
    other.run(`CREATE TABLE ${table} (note TEXT)`)
    other.close(true)
    const error = failure(() => open(scratch.path()))
    expect(error.exitCode).toBe(65)
    expect(error.message).toMatch(/another program's database\? point basic\.database_url at the right file/)
  })

  test("for a damaged database says so", () => {
    using scratch = new Scratch()
    const { store } = open(scratch.path())
    for (let at = 0; at < 50; at++) store.source("codex").adopt(null, tokens(String(at)), who(String(at)), NOW)
    store.close()
    const bytes = readFileSync(scratch.path())
    bytes.fill(0x5a, 4096)
    writeFileSync(scratch.path(), bytes)
    const error = failure(() => open(scratch.path()))
    expect(error.exitCode).toBe(65)
    expect(error.message).toContain("damaged")
  })

  test("for a schema of a newer version names both versions and changes nothing", () => {
    using scratch = new Scratch()
    open(scratch.path()).store.close()
    const db = new Database(scratch.path())
    db.run("PRAGMA user_version = 99")
    db.close(true)
    const before = readFileSync(scratch.path())
    const error = failure(() => open(scratch.path()))
    expect(error.exitCode).toBe(65)
    expect(error.message).toMatch(/schema version 99.*newer Pollux.*knows 2/)
    expect(readFileSync(scratch.path())).toEqual(before)
  })

  test("in a directory that its user may not write says so", async () => {
    using scratch = new Scratch()
    chmodSync(scratch.dir, 0o555)
    const missing = await run([CHILD, scratch.path(), "as-nobody"])
    expect(missing.code).toBe(77)
    expect(missing.out).toContain("not writable for the user that runs Pollux")
    chmodSync(scratch.dir, 0o755)
  })

  test("with a file that its user may not write says so", async () => {
    using scratch = new Scratch()
    open(scratch.path()).store.close()
    chmodSync(scratch.dir, 0o777)
    chmodSync(scratch.path(), 0o444)
    chmodSync(`${scratch.path()}.lock`, 0o666)
    const result = await run([CHILD, scratch.path(), "as-nobody"])
    expect(result.code).toBe(73)
    expect(result.out).toContain("is read-only")
  })
})

describe("trouble while serving", () => {
  test("another program's lock fails a write soon, is told, and is over when it is over", () => {
    using scratch = new Scratch()
    const { store, clock } = open(scratch.path())
    const source = store.source("codex")
    source.adopt(null, tokens("a"), who("a"), clock.now)
    expect(store.trouble()).toBeNull()

    const other = new Database(scratch.path())
    other.run("BEGIN IMMEDIATE")
    const begun = performance.now()
    const error = failure(() => source.rotate(1, "refresh-a", tokens("b"), null, clock.now))
    // The event loop stands still for as long as this waits.
    expect(performance.now() - begun).toBeLessThan(2000)
    expect(error).toMatchObject({ exitCode: 75, code: "SQLITE_BUSY" })
    // Only the first write waits; a storm of them must not stop everything for as long as the lock lasts.
    const again = performance.now()
    for (let at = 0; at < 5; at++) failure(() => source.intend(1, clock.now))
    expect(performance.now() - again).toBeLessThan(200)
    expect(store.trouble()).toContain("locked by another program")
    // Reading goes on meanwhile.
    expect(source.read(1)?.refreshToken).toBe("refresh-a")
    expect(store.source("codex").seedRecords(1)).toEqual([])

    other.run("ROLLBACK")
    other.close(true)
    expect(store.trouble()).not.toBeNull()
    clock.now += 1000
    expect(store.trouble()).toBeNull()
    expect(source.rotate(1, "refresh-a", tokens("b"), null, clock.now)).toBe("stored")
    store.close()
  })

  test("a reader, however long it reads, stops no write", () => {
    using scratch = new Scratch()
    const { store, clock } = open(scratch.path())
    const reader = new Database(scratch.path(), { readonly: true })
    reader.run("BEGIN")
    reader.query("SELECT count(*) FROM usage_rollups").get()
    for (let at = 0; at < 500; at++) store.usage.add([usageOf(clock.now)])
    expect(store.trouble()).toBeNull()
    expect(reader.query("SELECT count(*) AS rows FROM usage_rollups").get()).toEqual({ rows: 0 })
    reader.run("COMMIT")
    expect(reader.query("SELECT requests FROM usage_rollups").get()).toEqual({ requests: 500 })
    reader.close(true)
    store.close()
  })

  test("the next write that works ends it, too", () => {
    using scratch = new Scratch()
    const { store, clock } = open(scratch.path())
    const other = new Database(scratch.path())
    other.run("BEGIN IMMEDIATE")
    expect(() => store.usage.add([usageOf(clock.now)])).toThrow(StoreError)
    other.run("ROLLBACK")
    other.close(true)
    store.usage.add([usageOf(clock.now)])
    expect(store.trouble()).toBeNull()
    expect(store.usage.query({ by: "provider", since: 0, until: clock.now + 1 })).toMatchObject([{ requests: 1 }])
    store.close()
  })

  test("a disk that fills up fails writes whole, is told, and what was stored stays", async () => {
    using scratch = new Scratch()
    open(scratch.path()).store.close()
    // No file of this process may grow beyond 400 blocks, which ends a write as a full disk does.
    const result = await run(
      [join(import.meta.dir, "child/fill.ts"), scratch.path()],
      `trap '' XFSZ; ulimit -f 400; exec "$@"`,
    )
    expect(result.err).toBe("")
    const told: { stored: number; exitCode: number; trouble: string } = JSON.parse(result.out)
    expect(told.exitCode).toBe(74)
    expect(told.trouble).toContain("check the disk")
    const { store } = open(scratch.path())
    expect(store.source("codex").load()).toHaveLength(told.stored)
    store.close()
  })

  test("no error carries a token", () => {
    using scratch = new Scratch()
    const { store, clock } = open(scratch.path())
    const source = store.source("codex")
    const other = new Database(scratch.path())
    other.run("DROP TABLE spent_tokens")
    const secret = { ...tokens("a"), refreshToken: "very-secret-refresh", accessToken: "very-secret-access" }
    const errors = [
      failure(() => source.adopt(null, secret, who("a"), clock.now)),
      failure(() => source.addSeeds([{ refreshToken: "very-secret-seed", account: null }], clock.now)),
    ]
    for (const error of errors) {
      expect(`${Bun.inspect(error)}${error.stack}${JSON.stringify(error)}`).not.toContain("very-secret")
      expect(error.cause).toBeUndefined()
    }
    // Nothing of the failed transaction stays.
    expect(source.load()).toEqual([])
    other.close(true)
    store.close()
  })
})

describe("files", () => {
  test("are for their owner alone, whatever the umask", () => {
    using scratch = new Scratch()
    const umask = process.umask(0)
    try {
      const { store, clock, lines } = open(scratch.path())
      store.source("codex").adopt(null, tokens("a"), who("a"), clock.now)
      for (const suffix of ["", "-wal", "-shm", ".lock"]) {
        expect(statSync(scratch.path() + suffix).mode & 0o777).toBe(0o600)
      }
      expect(lines.filter(({ level }) => level === "warn")).toEqual([])
      store.close()
    } finally {
      process.umask(umask)
    }
  })

  test("that others can read are warned about, with the cure", () => {
    using scratch = new Scratch()
    open(scratch.path()).store.close()
    chmodSync(scratch.path(), 0o644)
    const { store, lines } = open(scratch.path())
    expect(lines).toContainEqual({
      level: "warn",
      event: "the database can be read by other users of this machine",
      fields: { file: scratch.path(), mode: "0644", cure: `chmod 600 ${scratch.path()}` },
    })
    store.close()
  })

  test("of a closed store have no log beside them", () => {
    using scratch = new Scratch()
    const { store, clock } = open(scratch.path())
    store.source("codex").adopt(null, tokens("a"), who("a"), clock.now)
    store.close()
    expect(existsSync(`${scratch.path()}-wal`)).toBe(false)
  })

  test("are none in memory", () => {
    const stores: Store[] = [0, 1].map(() =>
      openStore({ path: IN_MEMORY, clock: new HandClock(), log: memoryLog(), encryptionKey: null }),
    )
    stores[0]?.source("codex").adopt(null, tokens("a"), who("a"), NOW)
    expect(stores[1]?.source("codex").load()).toEqual([])
    for (const store of stores) store.close()
    expect(existsSync(IN_MEMORY)).toBe(false)
  })
})

function usageOf(at: number) {
  const nothing = { requests: 1, errors: 0, attempts: 1, input: 0, output: 0, cached: 0, reasoning: 0 }
  return { ...nothing, at, provider: "codex", model: "m", credential: null, principal: null }
}
