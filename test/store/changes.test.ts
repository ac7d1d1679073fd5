import { describe, expect, test } from "bun:test"
import { IN_MEMORY } from "../../src/store/open.ts"
import { open, Scratch, tokens, who } from "./support.ts"
import { cooldown, error, everyProvider, NOW, parked, troubles } from "./tables.ts"

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

describe("quotas", () => {
  everyProvider("that were not seen again go after 90 days", (source) => {
    source.adopt(null, tokens("a"), who("a"), NOW)
    const window = { name: "primary", usedPercent: 5, windowMinutes: null, resetsAt: null }
    const windows = [
      { ...window, family: "old", seenAt: NOW },
      { ...window, family: "new", seenAt: NOW + 1 },
    ]
    source.flush([{ late: "quota", id: 1, windows }], NOW)
    source.prune(NOW + 90 * 24 * 3_600_000)
    expect(source.read(1)?.quotas).toHaveLength(2)
    source.prune(NOW + 90 * 24 * 3_600_000 + 1)
    expect(source.read(1)?.quotas.map(({ family }) => family)).toEqual(["new"])
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
