import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import {
  LOGIN_LIFETIME_MS,
  type Login,
  LoginTable,
  MOST_LOGINS,
  MOST_LOGINS_PER_ADDRESS,
  secretDigest,
} from "../../src/http/login-table.ts"

function login(n: number, more: Partial<Login> = {}): Login {
  const id = `id${String(n).padStart(14, "0")}`
  return {
    id,
    provider: "toy",
    kind: "browser",
    address: `10.0.0.${n}`,
    account: null,
    state: secretDigest(`${id}-secret`),
    cookie: null,
    verifier: "v",
    redirectUri: "http://localhost/",
    expiresAt: LOGIN_LIFETIME_MS,
    expires: LOGIN_LIFETIME_MS,
    ...more,
  }
}

const DONE = { status: "done", credential: 1, email: null } as const

describe("the table of logins", () => {
  test("finds a login by its whole state, at its own provider, until it is claimed or has expired", () => {
    const table = new LoginTable()
    const one = login(1)
    table.add(one, 0)
    expect(table.byState("toy", `${one.id}-secret`, 0)).toBe(one)
    expect(table.byState("toy", `${one.id}-secre`, 0)).toBeNull()
    expect(table.byState("toy", `${one.id}-Secret`, 0)).toBeNull()
    expect(table.byState("toy", one.id, 0)).toBeNull()
    expect(table.byState("other", `${one.id}-secret`, 0)).toBeNull()
    expect(table.byState("toy", `${one.id}-secret`, LOGIN_LIFETIME_MS)).toBeNull()
    expect(table.claim(one)).toBe(true)
    expect(table.byState("toy", `${one.id}-secret`, 0)).toBeNull()
  })

  test("lets a login be claimed once, and never after its end", () => {
    const table = new LoginTable()
    const [one, two] = [login(1), login(2)]
    table.add(one, 0)
    table.add(two, 0)
    expect([table.claim(one), table.claim(one)]).toEqual([true, false])
    table.end(two, DONE)
    expect(table.claim(two)).toBe(false)
  })

  test("remembers how a login ended, the first word counts", () => {
    const table = new LoginTable()
    const one = login(1)
    table.add(one, 0)
    expect(table.find("toy", one.id)).toEqual({ login: one, result: null })
    table.end(one, DONE)
    table.end(one, { status: "failed", code: "X", message: "x", url: null })
    expect(table.find("toy", one.id)).toEqual({ login: one, result: DONE })
    expect(table.find("other", one.id)).toBeNull()
  })

  test("says when there will be room", () => {
    const table = new LoginTable()
    for (let n = 0; n < MOST_LOGINS_PER_ADDRESS; n++) {
      table.add(login(n, { address: "a", expiresAt: 50_000 + n }), 0)
    }
    expect(table.add(login(99, { address: "a" }), 20_000)).toEqual({ taken: false, waitMs: 30_000 })
  })

  test("is bounded, whatever is begun and ended in whatever order", () => {
    const step = fc.record({
      kind: fc.constantFrom<Login["kind"]>("browser", "key", "device"),
      address: fc.constantFrom("a", "b", "c"),
      finish: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
        const table = new LoginTable()
        const open: Login[] = []
        for (const [n, { kind, address, finish }] of steps.entries()) {
          const next = login(n, { kind, address })
          const admission = table.add(next, 0)
          if (admission.taken) {
            open.push(next)
            if (admission.displaced !== null) {
              expect(admission.displaced.kind).toBe("browser")
              expect(kind).not.toBe("browser")
              table.end(admission.displaced, DONE)
              open.splice(open.indexOf(admission.displaced), 1)
            }
          }
          const first = open[0]
          if (finish && first !== undefined && table.claim(first)) {
            table.end(first, DONE)
            open.shift()
          }
          expect(table.size).toBe(open.length)
          expect(table.size).toBeLessThanOrEqual(MOST_LOGINS)
          const mine = open.filter((entry) => entry.kind === "browser" && entry.address === address)
          expect(mine.length).toBeLessThanOrEqual(MOST_LOGINS_PER_ADDRESS)
        }
      }),
      { numRuns: 30 },
    )
  })
})
