import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { StoreError } from "../../src/store/error.ts"
import type { Store } from "../../src/store/open.ts"
import { open, Scratch, tokens, who } from "./support.ts"

const NOW = Date.UTC(2026, 5, 1, 12)
const KEY = "11".repeat(32)
const NEXT = "22".repeat(32)
const SECRETS = ["refresh-a", "access-a", "refresh-b", "access-b", "seed-secret", "held-secret"]

function furnish(store: Store): void {
  const source = store.source("codex")
  source.adopt(null, tokens("a"), who("a"), NOW)
  store.source("geminicli").adopt(null, tokens("b"), who("b"), NOW)
  source.addSeeds([{ refreshToken: "seed-secret", account: null }], NOW)
  source.holdSeed("s1", { ...tokens("held"), refreshToken: "held-secret" }, NOW)
}

const read = (store: Store) => ({
  codex: store.source("codex").load(),
  geminicli: store.source("geminicli").load(),
  seeds: store.source("codex").pendingSeeds(),
})

/** Which secrets stand in any file of the directory, log and free pages included. */
const visible = (scratch: Scratch): string[] => {
  const bytes = readdirSync(scratch.dir).map((name) => readFileSync(scratch.path(name)).toString("latin1"))
  return SECRETS.filter((secret) => bytes.some((text) => text.includes(secret)))
}

function failure(work: () => unknown): StoreError {
  try {
    work()
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}

describe("tokens at rest", () => {
  test("are plain without a key, and nowhere in the files with one", () => {
    using plain = new Scratch()
    const first = open(plain.path())
    furnish(first.store)
    expect(visible(plain)).toEqual(SECRETS)
    first.store.close()

    using sealed = new Scratch()
    const second = open(sealed.path(), { key: KEY })
    furnish(second.store)
    expect(visible(sealed)).toEqual([])
    const before = read(second.store)
    second.store.close()
    expect(visible(sealed)).toEqual([])
    const third = open(sealed.path(), { key: KEY })
    expect(read(third.store)).toEqual(before)
    third.store.close()
  })

  test("rotate under a key as they do without", () => {
    using scratch = new Scratch()
    const { store } = open(scratch.path(), { key: KEY })
    furnish(store)
    const source = store.source("codex")
    expect(source.rotate(1, "refresh-x", tokens("c"), null, NOW)).toBe("superseded")
    expect(source.rotate(1, "refresh-a", tokens("c"), { account: "moved" }, NOW)).toBe("stored")
    expect(source.read(1)).toMatchObject({ refreshToken: "refresh-c", accessToken: "access-c" })
    expect(source.addSeeds([{ refreshToken: "refresh-c", account: null }], NOW)).toMatchObject([{ credential: 1 }])
    store.close()
  })

  test("that are plain are encrypted when a key is set, and leave no trace", () => {
    using scratch = new Scratch()
    const first = open(scratch.path())
    furnish(first.store)
    const before = read(first.store)
    first.store.close()
    const second = open(scratch.path(), { key: KEY })
    expect(visible(scratch)).toEqual([])
    expect(read(second.store)).toEqual(before)
    second.store.close()
  })

  test("are not opened without their key: the start is refused, and nothing is changed", () => {
    using scratch = new Scratch()
    const first = open(scratch.path(), { key: KEY })
    furnish(first.store)
    first.store.close()
    const before = readFileSync(scratch.path())
    const missing = failure(() => open(scratch.path()))
    expect(missing.exitCode).toBe(78)
    expect(missing.message).toMatch(/6 tokens are encrypted with key [0-9a-f]{8}, but basic.encryption_key is not set/)
    const wrong = failure(() => open(scratch.path(), { key: NEXT }))
    expect(wrong.exitCode).toBe(78)
    expect(wrong.message).toMatch(/with key [0-9a-f]{8}, but basic.encryption_key is key [0-9a-f]{8}/)
    expect(wrong.message).not.toContain(NEXT)
    expect(readFileSync(scratch.path())).toEqual(before)
  })

  test("come under a new key at start when the old one is given, too", () => {
    using scratch = new Scratch()
    const first = open(scratch.path(), { key: KEY })
    furnish(first.store)
    const before = read(first.store)
    first.store.close()
    const second = open(scratch.path(), { key: NEXT, previous: [KEY] })
    expect(read(second.store)).toEqual(before)
    second.store.close()
    expect(failure(() => open(scratch.path(), { key: KEY })).exitCode).toBe(78)
    open(scratch.path(), { key: NEXT }).store.close()
  })

  test("change their key while serving, and go back to plain", () => {
    using scratch = new Scratch()
    const { store } = open(scratch.path(), { key: KEY })
    furnish(store)
    const before = read(store)
    expect(store.reencrypt(NEXT)).toBe(6)
    expect(read(store)).toEqual(before)
    expect(failure(() => store.reencrypt("hunter2")).exitCode).toBe(78)
    expect(store.source("codex").rotate(1, "refresh-a", tokens("c"), null, NOW)).toBe("stored")
    store.close()
    const next = open(scratch.path(), { key: NEXT })
    expect(next.store.source("codex").read(1)?.refreshToken).toBe("refresh-c")
    expect(next.store.reencrypt(null)).toBe(6)
    next.store.close()
    const plain = open(scratch.path())
    expect(plain.store.source("codex").read(1)?.refreshToken).toBe("refresh-c")
    plain.store.close()
  })

  test("that were moved between rows or columns are refused at start", () => {
    using scratch = new Scratch()
    const first = open(scratch.path(), { key: KEY })
    first.store.source("codex").adopt(null, tokens("a"), who("a"), NOW)
    first.store.source("codex").adopt(null, tokens("b"), who("b"), NOW)
    first.store.close()
    for (const swap of [
      "UPDATE codex SET refresh_token = (SELECT kept.refresh_token FROM kept WHERE kept.id = 3 - codex.id)",
      "UPDATE codex SET refresh_token = access_token, access_token = refresh_token",
      "UPDATE codex SET access_token = 'pxe1:' || substr(access_token, 6, 8) || ':AAAA'",
    ]) {
      const db = new Database(scratch.path())
      db.run("CREATE TEMP TABLE kept AS SELECT * FROM codex")
      db.run(swap)
      const error = failure(() => open(scratch.path(), { key: KEY }))
      expect(error.exitCode).toBe(65)
      expect(error.message).toContain("altered or moved")
      db.run(
        "UPDATE codex SET (refresh_token, access_token) = (SELECT refresh_token, access_token FROM kept WHERE kept.id = codex.id)",
      )
      db.close(true)
    }
    open(scratch.path(), { key: KEY }).store.close()
  })

  test("with a malformed key nothing is opened", () => {
    using scratch = new Scratch()
    expect(failure(() => open(scratch.path(), { key: "hunter2" })).exitCode).toBe(78)
    expect(readdirSync(scratch.dir)).toEqual([])
  })
})

test("a token that was replaced, removed or wiped is nowhere in the files after a restart", () => {
  using scratch = new Scratch()
  const { store } = open(scratch.path())
  const source = store.source("codex")
  source.adopt(null, tokens("a"), who("a"), NOW)
  source.addSeeds([{ refreshToken: "seed-secret", account: null }], NOW)
  source.adopt(null, tokens("b"), who("b"), NOW)
  source.rotate(1, "refresh-a", tokens("next"), null, NOW)
  source.remove(2)
  source.failSeed("s1", "reason", "detail", null, NOW)
  store.close()
  expect(visible(scratch)).toEqual([])
})
