import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Source } from "../../src/store/source.ts"
import type { Identity, SeedHint, StateChange, TokenSet } from "../../src/store/types.ts"
import { Model } from "./model.ts"
import { open, Scratch } from "./support.ts"

type Step =
  | { do: "seeds"; hints: SeedHint[] }
  | { do: "intend_seed" | "fail_seed"; seed: string }
  | { do: "hold_seed"; seed: string; tokens: TokenSet }
  | { do: "adopt"; seed: string | null; tokens: TokenSet; who: Identity }
  | { do: "intend" | "remove"; id: number }
  | { do: "rotate"; id: number; honest: boolean; tokens: TokenSet; plan: string | null }
  | { do: "note"; id: number; change: StateChange }
  | { do: "bind"; id: number; session: string }
  | { do: "reopen" }

const DAY = 24 * 3_600_000
/** Where the tests' clock begins. */
const START = Date.UTC(2026, 5, 1, 12)

// Small alphabets, so that tokens meet again as seeds, as spent ones and as those of other credentials.
const token = fc.constantFrom("t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7")
const id = fc.integer({ min: 1, max: 4 })
const honest = fc.constantFrom(true, true, true, false)
const seed = fc.integer({ min: 1, max: 3 }).map((at) => `s${at}`)
const model = fc.constantFrom("m1", "m2", "*")
const plan = fc.constantFrom(null, "plus", "pro")
const tokens = fc.record({
  accessToken: fc.constantFrom("a1", "a2"),
  refreshToken: token,
  expiresAt: fc.constant(1_800_000_000_000),
  idToken: fc.constant(null),
})
const who = fc.record({
  sub: fc.constantFrom("sub1", "sub2"),
  account: fc.constantFrom("acc1", "acc2"),
  email: fc.constantFrom(null, "one@example.test", "two@example.test"),
  plan,
})
const standing = fc.constantFrom(
  { kind: "active" as const },
  { kind: "disabled" as const, since: 5 },
  { kind: "banned" as const, reason: "tos", detail: "Broken terms.", since: 6 },
  {
    kind: "parked" as const,
    reason: "ineligible" as const,
    detail: "No licence.",
    url: null,
    since: 7,
    until: 8,
    strikes: 3,
  },
)
// Long over, just over, and to come.
const until = fc.oneof(
  fc.integer({ min: 1, max: 1e15 }),
  fc.integer({ min: -10 * DAY, max: 10 * DAY }).map((from) => START + from),
)
const change: fc.Arbitrary<StateChange> = fc.oneof(
  standing.map((standing) => ({ set: "standing" as const, standing })),
  fc.constantFrom(null, "invalid_grant").map((reason) => ({ set: "refresh_dead" as const, reason })),
  fc
    .record({ scope: model, until, stated: until, cause: fc.constant("rate"), strikes: fc.nat(9), quota: fc.boolean() })
    .map((cooldown) => ({ set: "cooldown" as const, cooldown })),
  model.map((scope) => ({ set: "cooldown_over" as const, scope })),
  fc.record({ model, until }).map((mark) => ({ set: "mark" as const, mark })),
  model.map((model) => ({ set: "mark_over" as const, model })),
  fc.constant({ set: "intent_over" as const }),
  fc.constant({ set: "clear" as const }),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .array(fc.record({ refreshToken: token, account: fc.constantFrom(null, "acc1") }), { maxLength: 3 })
      .map((hints) => ({ do: "seeds" as const, hints })),
  },
  { weight: 3, arbitrary: seed.map((seed) => ({ do: "intend_seed" as const, seed })) },
  { weight: 3, arbitrary: seed.map((seed) => ({ do: "fail_seed" as const, seed })) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("hold_seed" as const), seed, tokens }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("adopt" as const), seed: fc.option(seed), tokens, who }) },
  { weight: 1, arbitrary: id.map((id) => ({ do: "intend" as const, id })) },
  { weight: 1, arbitrary: id.map((id) => ({ do: "remove" as const, id })) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("rotate" as const), id, honest, tokens, plan }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("note" as const), id, change }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("bind" as const), id, session: fc.constantFrom("x", "y", "z") }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "reopen" as const }) },
)

/** Most sequences begin with credentials to work on. */
const sequence = fc
  .tuple(
    fc.array(fc.record({ do: fc.constant("adopt" as const), seed: fc.constant(null), tokens, who }), { maxLength: 3 }),
    fc.array(step, { minLength: 1, maxLength: 40 }),
  )
  .map(([adopted, steps]): Step[] => [...adopted, ...steps])

/** Two credentials with one refresh token cannot be told apart by it; no upstream gives one token out twice. */
const tokenTaken = (model: Model, token: string, but: number | null): boolean =>
  [...model.credentials.values()].some(({ id, refreshToken }) => refreshToken === token && id !== but)

function take(step: Exclude<Step, { do: "reopen" }>, model: Model, source: Source, now: number): void {
  switch (step.do) {
    case "seeds":
      expect(source.addSeeds(step.hints, now)).toEqual(model.addSeeds(step.hints))
      break
    case "intend_seed":
      model.intendSeed(step.seed, now)
      source.intendSeed(step.seed, now)
      break
    case "fail_seed":
      model.failSeed(step.seed)
      source.failSeed(step.seed, "reason", "detail", null, now)
      break
    case "hold_seed":
      model.holdSeed(step.seed, step.tokens)
      source.holdSeed(step.seed, step.tokens, now)
      break
    case "adopt": {
      const holder = [...model.credentials.values()].find(
        ({ identity }) => identity.sub === step.who.sub && identity.account === step.who.account,
      )
      if (tokenTaken(model, step.tokens.refreshToken, holder?.id ?? null)) break
      expect(source.adopt(step.seed, step.tokens, step.who, now).id).toBe(model.adopt(step.seed, step.tokens, step.who))
      break
    }
    case "intend":
      model.intend(step.id, now)
      source.intend(step.id, now)
      break
    case "remove":
      model.remove(step.id)
      source.remove(step.id)
      break
    case "rotate": {
      if (tokenTaken(model, step.tokens.refreshToken, step.id)) break
      const witness = step.honest ? (model.credentials.get(step.id)?.refreshToken ?? "none") : "another"
      expect(source.rotate(step.id, witness, step.tokens, { plan: step.plan }, now)).toBe(
        model.rotate(step.id, witness, step.tokens, step.plan),
      )
      break
    }
    case "note":
      model.note(step.id, step.change)
      source.note(step.id, step.change, now)
      break
    case "bind":
      model.bind(step.session, step.id, now)
      source.flush([{ late: "bind", session: step.session, id: step.id, at: now }], now)
      break
  }
}

function compare(model: Model, source: Source): void {
  const byScope = (a: { scope: string }, b: { scope: string }) => (a.scope < b.scope ? -1 : 1)
  const byModel = (a: { model: string }, b: { model: string }) => (a.model < b.model ? -1 : 1)
  const expected = [...model.credentials.values()]
    .sort((a, b) => a.id - b.id)
    .map(({ cooldowns, marks, ...rest }) => ({
      ...rest,
      cooldowns: [...cooldowns.values()].sort(byScope),
      marks: [...marks.values()].sort(byModel),
    }))
  const loaded = source.load()
  expect(
    loaded.map(({ id, identity, refreshToken, accessToken, standing, refreshDead, cooldowns, marks, intentAt }) => ({
      id,
      identity,
      refreshToken,
      accessToken,
      standing,
      refreshDead,
      cooldowns: cooldowns.toSorted(byScope),
      marks: marks.toSorted(byModel),
      intentAt,
    })),
  ).toEqual(expected.map(({ accessToken, ...rest }) => ({ ...rest, accessToken })))
  for (const stored of loaded) expect(source.read(stored.id)).toEqual(stored)

  const pending = [...model.seeds.values()].filter(({ outcome }) => outcome.kind === "pending")
  expect(source.pendingSeeds()).toEqual(
    pending
      .sort((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)))
      .map(({ id, token, account, attempts, intentAt, tokens }) => ({
        id,
        refreshToken: token,
        account,
        attempts,
        intentAt,
        tokens,
      })),
  )
  for (const { id, outcome } of model.seeds.values()) {
    const email =
      outcome.kind === "adopted" ? (model.credentials.get(outcome.credential)?.identity.email ?? null) : null
    expect(source.seedOutcome(id)).toEqual(outcome.kind === "adopted" ? { ...outcome, email } : outcome)
  }
  expect(source.bindings(100)).toEqual(
    [...model.sessions]
      .map(([session, { credential, usedAt }]) => ({ session, credential, usedAt }))
      .sort((a, b) => b.usedAt - a.usedAt),
  )
}

for (const [provider, key] of [
  ["geminicli", null],
  ["codex", "42".repeat(32)],
] as const) {
  test(`any sequence of calls leaves what a naive model says, restarts included (${provider}, ${key === null ? "plain" : "encrypted"})`, () => {
    fc.assert(
      fc.property(sequence, (steps) => {
        using scratch = new Scratch()
        const model = new Model()
        let { store, clock } = open(scratch.path(), { key })
        try {
          for (const step of steps) {
            clock.now += 1000
            if (step.do === "reopen") {
              store.close()
              const now = clock.now
              ;({ store, clock } = open(scratch.path(), { key, now }))
              model.prune(now)
            } else {
              take(step, model, store.source(provider), clock.now)
            }
            compare(model, store.source(provider))
          }
        } finally {
          store.close()
        }
      }),
      { numRuns: 60 },
    )
  }, 30_000)
}
