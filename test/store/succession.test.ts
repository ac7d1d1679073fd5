import { describe, expect } from "bun:test"
import { tokens, who } from "./support.ts"
import { cooldown, error, everyProvider, hint, NOW, only, parked, troubles } from "./tables.ts"

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
