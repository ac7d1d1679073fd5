import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { MAX_SESSION_LENGTH, MAX_SESSIONS, sessionsOf } from "../../src/relay/sessions.ts"

describe("names of a session", () => {
  test("are trimmed, and blanks and duplicates dropped, the best first", () => {
    expect(sessionsOf([null, " a ", "", undefined, "b", "a", "  "])).toEqual(["a", "b"])
  })

  test("are few and short whatever a client sends", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ maxLength: 600 }), fc.constant(null)), { maxLength: 12 }), (names) => {
        const sessions = sessionsOf(names)
        expect(sessions.length).toBeLessThanOrEqual(MAX_SESSIONS)
        expect(new Set(sessions).size).toBe(sessions.length)
        for (const session of sessions) {
          expect(session.length).toBeGreaterThan(0)
          expect(session.length).toBeLessThanOrEqual(MAX_SESSION_LENGTH)
        }
      }),
    )
  })

  test("that are too long stay equal to themselves and different from each other", () => {
    const long = "x".repeat(300)
    expect(sessionsOf([long])).toEqual(sessionsOf([` ${long}`]))
    expect(sessionsOf([long, `${long}y`])).toHaveLength(2)
    expect(sessionsOf(["x".repeat(256)])).toEqual(["x".repeat(256)])
  })
})
