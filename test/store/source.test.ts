import { describe, expect, test } from "bun:test"
import { IN_MEMORY } from "../../src/store/open.ts"
import type { Source } from "../../src/store/source.ts"
import type { Cooldown, SeedOutcome, Standing, StateChange } from "../../src/store/types.ts"
import { open, Scratch, tokens, who } from "./support.ts"

const NOW = Date.UTC(2026, 5, 1, 12)
const hint = (refreshToken: string, account: string | null = null) => ({ refreshToken, account })
const cooldown: Cooldown = { scope: "m1", until: NOW + 9, stated: NOW + 99, cause: "rate", strikes: 2, quota: false }
const error = { at: NOW, status: 429, cause: "rate", message: "slow down" }
const parked: Standing = {
  kind: "parked",
  reason: "needs_login",
  detail: "The refresh token was refused.",
  url: null,
  since: NOW,
  until: NOW + 60_000,
  strikes: 1,
}

/** Runs for both kinds of credential tables. */
function everyProvider(name: string, work: (source: Source, log: ReturnType<typeof open>["lines"]) => void): void {
  for (const provider of ["geminicli", "codex"]) {
    test(`${name} (${provider})`, () => {
      const { store, lines } = open(IN_MEMORY)
      work(store.source(provider), lines)
      store.close()
    })
  }
}

const only = (outcomes: readonly SeedOutcome[]): SeedOutcome => {
  const [first, ...rest] = outcomes
  if (first === undefined || rest.length > 0) throw new Error(`expected one outcome, got ${outcomes.length}`)
  return first
}

/** Everything that can be noted of a credential. */
const troubles: readonly StateChange[] = [
  { set: "cooldown", cooldown },
  { set: "mark", mark: { model: "m2", until: NOW + 5 } },
  { set: "refresh_dead", reason: "invalid_grant" },
  { set: "error", error },
  { set: "standing", standing: parked },
]

describe("adopting", () => {
  everyProvider("makes a credential that is there when it returns", (source) => {
    const stored = source.adopt(null, tokens("a"), who("a", { plan: "pro" }), NOW)
    expect(stored).toEqual({
      id: 1,
      identity: { sub: "sub-a", account: "account-a", email: "a@example.test", plan: "pro" },
      accessToken: "access-a",
      refreshToken: "refresh-a",
      expiresAt: tokens("a").expiresAt,
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [],
      marks: [],
      quotas: [],
      lastError: null,
      lastLeasedAt: null,
      intentAt: null,
    })
    expect(source.read(1)).toEqual(stored)
    expect(source.load()).toEqual([stored])
  })

  everyProvider("the same account again keeps its id, forgets its troubles and comes back", (source) => {
    source.adopt(null, tokens("a"), who("a", { plan: "pro" }), NOW)
    for (const change of troubles) source.note(1, change, NOW)
    source.intend(1, NOW)
    source.note(1, { set: "standing", standing: { kind: "banned", reason: "tos", detail: "d", since: NOW } }, NOW)
    const again = source.adopt(null, tokens("b"), who("a", { email: null }), NOW + 1)
    expect(again).toMatchObject({
      id: 1,
      refreshToken: "refresh-b",
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [],
      marks: [],
      lastError: null,
      intentAt: null,
    })
    // What the new answer does not say stays known.
    expect(again.identity).toEqual({ sub: "sub-a", account: "account-a", email: "a@example.test", plan: "pro" })
    expect(only(source.addSeeds([hint("refresh-a")], NOW))).toMatchObject({ kind: "known", credential: 1 })
  })

  everyProvider("one user with two accounts is two credentials", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.adopt(null, tokens("b"), who("a", { account: "other" }), NOW)
    expect(source.load().map(({ id, identity }) => [id, identity.account])).toEqual([
      [1, "account-a"],
      [2, "other"],
    ])
  })
})

describe("rotating", () => {
  everyProvider("swaps the token set when the old refresh token is still the one stored", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    for (const change of troubles) source.note(1, change, NOW)
    source.intend(1, NOW)
    expect(source.rotate(1, "refresh-a", tokens("b", NOW + 7), { plan: "team", email: "new@example.test" }, NOW)).toBe(
      "stored",
    )
    expect(source.read(1)).toMatchObject({
      refreshToken: "refresh-b",
      accessToken: "access-b",
      expiresAt: NOW + 7,
      identity: { sub: "sub-a", account: "account-a", email: "new@example.test", plan: "team" },
      intentAt: null,
      refreshDead: null,
      // A refresh clears neither cooldowns nor parking.
      cooldowns: [cooldown],
      standing: parked,
      lastError: error,
    })
  })

  everyProvider("writes nothing when another one is stored, or none", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.rotate(1, "refresh-a", tokens("b"), null, NOW)
    const before = source.load()
    expect(source.rotate(1, "refresh-a", tokens("c"), { email: "x@example.test" }, NOW)).toBe("superseded")
    expect(source.rotate(99, "refresh-a", tokens("c"), null, NOW)).toBe("superseded")
    expect(source.load()).toEqual(before)
  })

  everyProvider("keeps a disabled credential disabled", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.note(1, { set: "standing", standing: { kind: "disabled", since: NOW } }, NOW)
    source.rotate(1, "refresh-a", tokens("b"), null, NOW)
    expect(source.read(1)?.standing).toEqual({ kind: "disabled", since: NOW })
  })

  everyProvider("to the same refresh token does not count it as spent", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.rotate(1, "refresh-a", { ...tokens("a"), accessToken: "access-2" }, null, NOW)
    source.note(1, { set: "standing", standing: parked }, NOW)
    expect(only(source.addSeeds([hint("refresh-a")], NOW))).toMatchObject({ kind: "known", credential: 1 })
    // The stored token handed in again: the credential is back.
    expect(source.read(1)).toMatchObject({ accessToken: "access-2", standing: { kind: "active" } })
  })

  everyProvider("follows a changed account, unless another credential has it", (source, lines) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.adopt(null, tokens("b"), who("b"), NOW)
    expect(source.rotate(1, "refresh-a", tokens("c"), { account: "moved" }, NOW)).toBe("stored")
    expect(source.read(1)?.identity.account).toBe("moved")
    expect(source.rotate(1, "refresh-c", tokens("d"), { sub: "sub-b", account: "account-b" }, NOW)).toBe("stored")
    expect(source.read(1)).toMatchObject({ refreshToken: "refresh-d", identity: { sub: "sub-a", account: "moved" } })
    expect(lines).toContainEqual(expect.objectContaining({ level: "warn", fields: { credential: 1, other: 2 } }))
  })

  everyProvider("remembers the last 32 spent tokens and no more", (source) => {
    source.adopt(null, tokens("0"), who("a"), NOW)
    for (let at = 0; at < 40; at++) source.rotate(1, `refresh-${at}`, tokens(String(at + 1)), null, NOW)
    const kindOf = (at: number) => only(source.addSeeds([hint(`refresh-${at}`)], NOW)).kind
    expect([40, 39, 8].map(kindOf)).toEqual(["known", "known", "known"])
    expect([7, 0].map(kindOf)).toEqual(["pending", "pending"])
  })
})

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

describe("notes", () => {
  everyProvider("are kept and taken back one by one", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    for (const change of troubles) source.note(1, change, NOW)
    expect(source.read(1)).toMatchObject({
      standing: parked,
      refreshDead: "invalid_grant",
      cooldowns: [cooldown],
      marks: [{ model: "m2", until: NOW + 5 }],
      lastError: error,
    })
    source.note(1, { set: "cooldown", cooldown: { ...cooldown, until: NOW + 50, quota: true } }, NOW)
    source.note(1, { set: "cooldown", cooldown: { ...cooldown, scope: "*" } }, NOW)
    expect(source.read(1)?.cooldowns).toEqual([
      { ...cooldown, scope: "*" },
      { ...cooldown, until: NOW + 50, quota: true },
    ])
    source.note(1, { set: "cooldown_over", scope: "m1" }, NOW)
    source.note(1, { set: "mark_over", model: "m2" }, NOW)
    source.note(1, { set: "refresh_dead", reason: null }, NOW)
    source.note(1, { set: "standing", standing: { kind: "active" } }, NOW)
    expect(source.read(1)).toMatchObject({
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [{ ...cooldown, scope: "*" }],
      marks: [],
    })
  })

  everyProvider("clear forgets troubles and parking, but not the operator's word nor a begun refresh", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    for (const change of troubles) source.note(1, change, NOW)
    source.intend(1, NOW)
    source.note(1, { set: "clear" }, NOW)
    expect(source.read(1)).toMatchObject({
      standing: { kind: "active" },
      refreshDead: null,
      cooldowns: [],
      marks: [],
      lastError: null,
      intentAt: NOW,
    })
    source.note(1, { set: "standing", standing: { kind: "disabled", since: NOW } }, NOW)
    source.note(1, { set: "clear" }, NOW)
    expect(source.read(1)?.standing.kind).toBe("disabled")
  })

  everyProvider("a begun refresh is remembered until it is answered", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.intend(1, NOW)
    source.intend(1, NOW + 5)
    expect(source.read(1)?.intentAt).toBe(NOW + 5)
    source.note(1, { set: "intent_over" }, NOW)
    expect(source.read(1)?.intentAt).toBeNull()
  })

  everyProvider("about a credential that is gone are dropped", (source) => {
    for (const change of troubles) source.note(7, change, NOW)
    source.intend(7, NOW)
    source.flush(
      [
        { late: "leased", id: 7, at: NOW },
        { late: "bind", session: "s", id: 7, at: NOW },
      ],
      NOW,
    )
    expect(source.bindings(10)).toEqual([])
    source.adopt(null, tokens("a"), who("a"), NOW)
    expect(source.load()).toHaveLength(1)
  })
})

describe("what may wait", () => {
  everyProvider("is written in one go", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    const window = {
      family: "f",
      name: "primary",
      usedPercent: 12.5,
      windowMinutes: 300,
      resetsAt: NOW + 1,
      seenAt: NOW,
    }
    source.flush(
      [
        { late: "leased", id: 1, at: NOW },
        {
          late: "quota",
          id: 1,
          windows: [window, { ...window, name: "secondary", windowMinutes: null, resetsAt: null }],
        },
        { late: "quota", id: 1, windows: [{ ...window, usedPercent: 50 }] },
        { late: "plan", id: 1, plan: "plus" },
        { late: "bind", session: "one", id: 1, at: NOW },
        { late: "bind", session: "two", id: 1, at: NOW + 1 },
        { late: "bind", session: "three", id: 1, at: NOW + 2 },
        { late: "unbind", session: "two" },
      ],
      NOW,
    )
    expect(source.read(1)).toMatchObject({
      lastLeasedAt: NOW,
      identity: { plan: "plus" },
      quotas: [
        { ...window, usedPercent: 50 },
        { ...window, name: "secondary", windowMinutes: null, resetsAt: null },
      ],
    })
    expect(source.load()).toMatchObject([{ quotas: [{ usedPercent: 50 }, { usedPercent: 12.5 }] }])
    expect(source.bindings(10)).toEqual([
      { session: "three", credential: 1, usedAt: NOW + 2 },
      { session: "one", credential: 1, usedAt: NOW },
    ])
    expect(source.bindings(1)).toHaveLength(1)
  })

  everyProvider("idle bindings go after 14 days", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.flush(
      [
        { late: "bind", session: "old", id: 1, at: NOW },
        { late: "bind", session: "new", id: 1, at: NOW + 1 },
      ],
      NOW,
    )
    source.prune(NOW + 14 * 24 * 3_600_000 + 1)
    expect(source.bindings(10).map(({ session }) => session)).toEqual(["new"])
  })
})

describe("removing", () => {
  everyProvider("takes everything along, and the id is never given out again", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    source.adopt(null, tokens("b"), who("b"), NOW)
    for (const change of troubles) source.note(2, change, NOW)
    source.flush([{ late: "bind", session: "s", id: 2, at: NOW }], NOW)
    source.remove(2)
    source.remove(2)
    source.remove(1000)
    expect(source.read(2)).toBeNull()
    expect(source.bindings(10)).toEqual([])
    expect(source.adopt(null, tokens("c"), who("b"), NOW)).toMatchObject({
      id: 3,
      cooldowns: [],
      standing: { kind: "active" },
    })
  })

  test("the id stays taken over a restart", () => {
    using scratch = new Scratch()
    const first = open(scratch.path())
    first.store.source("codex").adopt(null, tokens("a"), who("a"), NOW)
    first.store.source("codex").remove(1)
    first.store.close()
    const second = open(scratch.path())
    expect(second.store.source("codex").adopt(null, tokens("a"), who("a"), NOW).id).toBe(2)
    second.store.close()
  })
})

test("a provider that the database does not know is refused by name", () => {
  const { store } = open(IN_MEMORY)
  expect(() => store.source("other")).toThrow("other")
  store.close()
})
