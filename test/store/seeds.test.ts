import { describe, expect, test } from "bun:test"
import { IN_MEMORY } from "../../src/store/open.ts"
import { open, tokens, who } from "./support.ts"
import { everyProvider, hint, NOW, only, parked, troubles } from "./tables.ts"

describe("seeds", () => {
  everyProvider("are stored once for each token, across requests, with their ids", (source) => {
    const first = source.addSeeds([hint("s"), hint("t", "project"), hint("s", "late")], NOW)
    expect(first).toEqual([
      { kind: "pending", id: "s1" },
      { kind: "pending", id: "s2" },
    ])
    expect(source.addSeeds([hint("t"), hint("s", "given-later")], NOW + 1)).toEqual([
      { kind: "pending", id: "s2" },
      { kind: "pending", id: "s1" },
    ])
    expect(source.pendingSeeds()).toEqual([
      { id: "s1", refreshToken: "s", account: "given-later", attempts: 0, intentAt: null, tokens: null },
      { id: "s2", refreshToken: "t", account: "project", attempts: 0, intentAt: null, tokens: null },
    ])
    expect(source.addSeeds([], NOW)).toEqual([])
  })

  everyProvider("keep the tokens that were won for them until they are adopted", (source) => {
    source.addSeeds([hint("s")], NOW)
    source.intendSeed("s1", NOW + 1)
    expect(source.pendingSeeds()).toMatchObject([{ attempts: 1, intentAt: NOW + 1, tokens: null }])
    const won = { ...tokens("won"), idToken: "header.payload.signature" }
    source.holdSeed("s1", won, NOW + 2)
    expect(source.pendingSeeds()).toMatchObject([{ attempts: 1, intentAt: null, tokens: won }])
    source.adopt("s1", tokens("final"), who("a"), NOW + 3)
    expect(source.pendingSeeds()).toEqual([])
    expect(source.seedOutcome("s1")).toEqual({ kind: "adopted", id: "s1", credential: 1, email: "a@example.test" })
    // The seed and the tokens held for it are spent by now.
    for (const spent of ["s", "refresh-won", "refresh-final"]) {
      expect(only(source.addSeeds([hint(spent)], NOW))).toMatchObject({ kind: "known", credential: 1 })
    }
  })

  everyProvider("that failed say why, and become pending when handed in again", (source) => {
    source.addSeeds([hint("s", "project")], NOW)
    source.intendSeed("s1", NOW)
    source.failSeed("s1", "invalid_grant", "The token was refused.", "https://example.test/", NOW + 1)
    expect(source.seedOutcome("s1")).toEqual({
      kind: "failed",
      id: "s1",
      reason: "invalid_grant",
      detail: "The token was refused.",
      url: "https://example.test/",
    })
    expect(source.addSeeds([hint("s")], NOW + 2)).toEqual([{ kind: "pending", id: "s1" }])
    expect(source.pendingSeeds()).toEqual([
      { id: "s1", refreshToken: "s", account: "project", attempts: 0, intentAt: null, tokens: null },
    ])
  })

  everyProvider("that failed after their token was exchanged keep the living one for another try", (source) => {
    source.addSeeds([hint("s")], NOW)
    source.holdSeed("s1", tokens("won"), NOW)
    source.failSeed("s1", "ineligible", "No licence.", null, NOW)
    source.addSeeds([hint("s")], NOW)
    expect(source.pendingSeeds()).toMatchObject([{ id: "s1", tokens: tokens("won") }])
  })

  everyProvider("cannot fail once they are adopted", (source) => {
    source.addSeeds([hint("s")], NOW)
    source.adopt("s1", tokens("a"), who("a"), NOW)
    source.failSeed("s1", "late", "", null, NOW)
    expect(source.seedOutcome("s1")?.kind).toBe("adopted")
  })

  everyProvider("of a removed credential may be tried again", (source) => {
    source.addSeeds([hint("s")], NOW)
    source.adopt("s1", tokens("a"), who("a"), NOW)
    source.remove(1)
    expect(source.addSeeds([hint("s"), hint("refresh-a")], NOW).map(({ kind }) => kind)).toEqual(["pending", "pending"])
  })

  everyProvider("equal to a stored token put its credential back in rotation", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    for (const change of troubles) source.note(1, change, NOW)
    source.note(1, { set: "standing", standing: { kind: "disabled", since: NOW } }, NOW)
    expect(only(source.addSeeds([hint("refresh-a")], NOW))).toEqual({ kind: "known", id: "s1", credential: 1 })
    expect(source.read(1)).toMatchObject({
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [],
      marks: [],
      lastError: null,
    })
  })

  everyProvider("equal to a spent token change nothing", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.rotate(1, "refresh-a", tokens("b"), null, NOW)
    source.note(1, { set: "standing", standing: parked }, NOW)
    source.addSeeds([hint("refresh-a")], NOW)
    expect(source.read(1)?.standing).toEqual(parked)
    expect(source.pendingSeeds()).toEqual([])
  })

  everyProvider("that are values out of an encrypted database are refused", (source) => {
    expect(only(source.addSeeds([hint("pxe1:01234567:AAAA")], NOW))).toMatchObject({
      kind: "failed",
      reason: "not_a_token",
    })
    expect(source.pendingSeeds()).toEqual([])
  })

  everyProvider("can be read one by one while they are pending", (source) => {
    source.addSeeds([hint("s", "project"), hint("t")], NOW)
    source.holdSeed("s1", tokens("won"), NOW + 1)
    for (const seed of source.pendingSeeds()) expect(source.pendingSeed(seed.id)).toEqual(seed)
    source.failSeed("s1", "r", "d", null, NOW + 2)
    for (const id of ["s1", "s99", "", "1"]) expect(source.pendingSeed(id)).toBeNull()
  })

  everyProvider("are listed newest change first, and unknown ids are nothing", (source) => {
    source.addSeeds([hint("s"), hint("t")], NOW)
    source.failSeed("s1", "r", "d", null, NOW + 5)
    expect(source.seedRecords(10)).toEqual([
      {
        outcome: { kind: "failed", id: "s1", reason: "r", detail: "d", url: null },
        createdAt: NOW,
        updatedAt: NOW + 5,
      },
      { outcome: { kind: "pending", id: "s2" }, createdAt: NOW, updatedAt: NOW },
    ])
    expect(source.seedRecords(1)).toHaveLength(1)
    for (const id of ["", "s", "1", "s99", "s1x", "s-1", `s${"9".repeat(30)}`])
      expect(source.seedOutcome(id)).toBeNull()
    source.failSeed("nonsense", "r", "d", null, NOW)
    source.intendSeed("s99", NOW)
  })

  test("of one provider are none of another's", () => {
    const { store } = open(IN_MEMORY)
    store.source("codex").addSeeds([hint("s")], NOW)
    expect(store.source("geminicli").seedOutcome("s1")).toBeNull()
    expect(store.source("geminicli").pendingSeeds()).toEqual([])
    store.close()
  })

  everyProvider("with final outcomes go after 30 days, pending ones never", (source) => {
    source.addSeeds([hint("s"), hint("t")], NOW)
    source.failSeed("s1", "r", "d", null, NOW)
    const day = 24 * 3_600_000
    source.prune(NOW + 30 * day)
    expect(source.seedRecords(10)).toHaveLength(2)
    source.prune(NOW + 30 * day + 1)
    expect(source.seedRecords(10)).toMatchObject([{ outcome: { kind: "pending", id: "s2" } }])
  })

  everyProvider("with final outcomes are at most 10,000, the oldest going first", (source) => {
    source.addSeeds([hint("pending")], NOW)
    source.adopt(null, tokens("a"), who("a"), NOW)
    const many = Array.from({ length: 10_002 }, (_, at) => hint(`pxe1:${at}`))
    source.addSeeds(many, NOW)
    source.prune(NOW)
    expect(source.seedRecords(20_000)).toHaveLength(10_001)
    expect(source.seedOutcome("s3")).toBeNull()
    expect(source.seedOutcome("s4")?.kind).toBe("failed")
    expect(source.seedOutcome("s1")?.kind).toBe("pending")
  })
})
