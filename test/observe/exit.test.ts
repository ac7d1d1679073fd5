import { describe, expect, test } from "bun:test"
import { EXIT, EXIT_CODES, exitMeaning } from "../../src/observe/exit.ts"

describe("the exit codes", () => {
  test("are each explained once, in order", () => {
    const codes = EXIT_CODES.map((entry) => entry.code)
    expect(codes).toEqual([...new Set(Object.values<number>(EXIT))].toSorted((a, b) => a - b))
    for (const entry of EXIT_CODES) expect(exitMeaning(entry.code)).toBe(entry.meaning)
  })

  test("say of an unknown one what signal it stands for", () => {
    expect(exitMeaning(137)).toBe("ended by signal 9")
    expect(exitMeaning(42)).toBe("unknown")
  })
})
