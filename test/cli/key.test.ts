import { describe, expect, test } from "bun:test"
import { readWanted } from "../../src/cli/key.ts"
import { keyCells, keyState } from "../../src/cli/key-view.ts"
import { createPaint } from "../../src/cli/paint.ts"

const NOW = Date.UTC(2026, 10, 22, 12, 0, 0, 250)

function wanted(name: string, options: Readonly<Record<string, string>> = {}) {
  const read = readWanted({ args: [name], option: (option) => options[option] ?? null }, NOW)
  return read.ok ? read.key : read.problem
}

describe("a new client key", () => {
  test("has no limits unless they are asked for", () => {
    expect(wanted("laptop")).toEqual({ name: "laptop", models: null, requestsPerMinute: null, expiresAt: null })
  })

  test("takes limits, doubles and blanks removed, its end rounded up to the second", () => {
    expect(wanted("ci", { models: " a, b,,a ", rpm: "60", expires: "1h" })).toEqual({
      name: "ci",
      models: ["a", "b"],
      requestsPerMinute: 60,
      expiresAt: Date.UTC(2026, 10, 22, 13, 0, 1),
    })
  })

  const refused: readonly (readonly [what: string, problem: string | RegExp])[] = [
    ["two words", /^NAME: expected .*, got "two words"$/],
    ["", /^NAME: /],
    [`x${"y".repeat(64)}`, /^NAME: /],
  ]
  for (const [name, problem] of refused) {
    test(`is not called "${name}"`, () => expect(wanted(name)).toMatch(problem))
  }

  const options: readonly (readonly [option: string, value: string, problem: RegExp])[] = [
    ["models", " , ", /^--models: expected names of models/],
    ["models", "models/x", /^--models: expected a model id/],
    ["rpm", "0", /^--rpm: expected an integer from 1 to 1000000, got 0$/],
    ["rpm", "many", /^--rpm: expected an integer/],
    ["rpm", "1.5", /^--rpm: expected an integer/],
    ["expires", "soon", /^--expires: expected a length of time/],
    ["expires", "2026-11-22", /^--expires: that is in the past$/],
    ["expires", "0d", /^--expires: that is in the past$/],
  ]
  for (const [option, value, problem] of options) {
    test(`is not made with --${option} "${value}"`, () => expect(wanted("x", { [option]: value })).toMatch(problem))
  }
})

test("a key is expired from the very moment on that the edge refuses it", () => {
  expect(keyState({ expiresAt: NOW + 1 }, NOW)).toBe("active")
  expect(keyState({ expiresAt: NOW }, NOW)).toBe("expired")
  expect(keyState({ expiresAt: null }, NOW)).toBe("active")
})

test("a key is listed with its limits, and without colour where there is none", () => {
  const paint = createPaint(false)
  const plain = { name: "laptop", models: null, requestsPerMinute: null, expiresAt: null }
  expect(keyCells(plain, NOW, paint)).toEqual(["laptop", "active", "all", "no limit", "never"])
  const limited = { name: "ci", models: ["a", "b"], requestsPerMinute: 5, expiresAt: NOW - 90_000 }
  expect(keyCells(limited, NOW, paint).slice(0, 4)).toEqual(["ci", "expired", "a, b", "5"])
  expect(keyCells(limited, NOW, paint)[4]).toStartWith("1 min 30 s ago")
})
