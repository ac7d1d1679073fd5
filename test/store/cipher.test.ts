import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type Cell, createCipher, isSealed, plainCipher } from "../../src/store/cipher.ts"
import { StoreError } from "../../src/store/error.ts"

const KEY = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
const OTHER = "ff".repeat(32)
const cell: Cell = { table: "t", column: "refresh_token", row: ["sub", "account"] }

const failure = (work: () => unknown): StoreError => {
  try {
    work()
  } catch (error) {
    if (error instanceof StoreError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}

describe("the cipher", () => {
  test("opens what it sealed, and shows nothing of it", () => {
    const cipher = createCipher(KEY)
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 8 }), (token) => {
        fc.pre(!isSealed(token))
        const sealed = cipher.seal(token, cell)
        expect(sealed).toMatch(/^pxe1:[0-9a-f]{8}:[\w-]+$/)
        expect(sealed).not.toContain(token)
        expect(cipher.open(sealed, cell)).toBe(token)
      }),
    )
  })

  test("never seals twice alike", () => {
    const cipher = createCipher(KEY)
    expect(cipher.seal("token", cell)).not.toBe(cipher.seal("token", cell))
  })

  test.each<[string, Cell]>([
    ["row", { ...cell, row: ["sub", "other"] }],
    ["row with its parts shifted", { ...cell, row: ["suba", "ccount"] }],
    ["column", { ...cell, column: "access_token" }],
    ["table", { ...cell, table: "u" }],
  ])("does not open a value that was moved to another %s", (_, elsewhere) => {
    const cipher = createCipher(KEY)
    const sealed = cipher.seal("token", cell)
    expect(failure(() => cipher.open(sealed, elsewhere)).message).toContain("altered or moved")
  })

  test("does not open a value of which one character was changed", () => {
    const cipher = createCipher(KEY)
    const sealed = cipher.seal("a-token-of-some-length", cell)
    for (let at = "pxe1:01234567:".length; at < sealed.length - 1; at++) {
      const changed = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A") + sealed.slice(at + 1)
      expect(() => cipher.open(changed, cell)).toThrow(StoreError)
    }
    expect(() => cipher.open("pxe1:01234567:", cell)).toThrow(StoreError)
    expect(() => cipher.open(`${sealed.slice(0, 20)}`, cell)).toThrow(StoreError)
  })

  test("names both keys when the wrong one is set", () => {
    const sealed = createCipher(OTHER).seal("token", cell)
    const error = failure(() => createCipher(KEY).open(sealed, cell))
    expect(error.exitCode).toBe(78)
    expect(error.message).toContain(String(createCipher(OTHER).keyId))
    expect(error.message).toContain(String(createCipher(KEY).keyId))
  })

  test("without a key values stay as they are, and an encrypted one is never given out", () => {
    expect(plainCipher.seal("token", cell)).toBe("token")
    expect(plainCipher.open("token", cell)).toBe("token")
    expect(failure(() => plainCipher.open(createCipher(KEY).seal("token", cell), cell)).exitCode).toBe(78)
  })

  test.each([plainCipher, createCipher(KEY)])("takes no value for a token that looks encrypted", (cipher) => {
    expect(() => cipher.seal("pxe1:01234567:AAAA", cell)).toThrow(StoreError)
  })

  test("with a key a plain value is not given out", () => {
    expect(() => createCipher(KEY).open("token", cell)).toThrow(StoreError)
  })

  test("takes a key as hex or as base64 of either alphabet", () => {
    const bytes = Buffer.from(KEY, "hex")
    const id = createCipher(KEY).keyId
    expect(createCipher(` ${KEY.toUpperCase()}\n`).keyId).toBe(id)
    expect(createCipher(bytes.toString("base64")).keyId).toBe(id)
    expect(createCipher(bytes.toString("base64url")).keyId).toBe(id)
  })

  test.each(["", "hunter2", "correct horse battery staple", KEY.slice(1), `${KEY}00`, "A".repeat(44)])(
    "refuses %p as a key without repeating it",
    (text) => {
      const error = failure(() => createCipher(text))
      expect(error.exitCode).toBe(78)
      expect(error.message).toContain("openssl rand -hex 32")
      if (text !== "") expect(error.message).not.toContain(text)
    },
  )
})
