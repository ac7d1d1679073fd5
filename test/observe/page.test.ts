import { expect, test } from "bun:test"
import fc from "fast-check"
import { Page } from "../../src/observe/page.ts"

const put = (write: (page: Page) => void) => {
  const page = new Page()
  write(page)
  return page.toString()
}

test("a number is written as JSON has it", () => {
  const number = fc.oneof(fc.integer({ min: -2000, max: 2_000_000 }), fc.double(), fc.maxSafeInteger())
  fc.assert(fc.property(number, (value) => put((page) => page.number(value)) === JSON.stringify(value)))
  for (let value = 0; value < 12_000; value++) {
    if (put((page) => page.number(value)) !== String(value)) throw new Error(`${value} is wrong`)
  }
  for (const value of [999_999, 1_000_000, 2 ** 31, 2 ** 32 + 5, -1, -0, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(put((page) => page.number(value))).toBe(JSON.stringify(value))
  }
})

test("milliseconds have three digits", () => {
  for (const value of [0, 7, 42, 999]) {
    expect(put((page) => page.padded(value))).toBe(String(value).padStart(3, "0"))
  }
})

test("what is put and taken in any order comes out whole, in memory that is given back", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ put: fc.string({ unit: "binary", maxLength: 40 }), times: fc.nat(3000) }) },
    { weight: 2, arbitrary: fc.record({ take: fc.double({ min: 0, max: 1, noNaN: true }) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const page = new Page()
      const size = page.bytes.length
      let given = ""
      const taken: Uint8Array[] = []
      const take = (count: number) => {
        taken.push(Buffer.from(page.bytes.subarray(page.start, page.start + count)))
        page.start += count
      }
      for (const each of steps) {
        if ("take" in each) {
          take(Math.floor(each.take * page.length))
          continue
        }
        const text = each.put.toWellFormed().repeat(each.times)
        given += text
        if (each.times % 2 === 0) page.text(text)
        else page.piece(Buffer.from(text))
      }
      take(page.length)
      expect(Buffer.concat(taken).equals(Buffer.from(given))).toBe(true)
      page.clear()
      expect(page.bytes.length).toBe(size)
    }),
    { numRuns: 100 },
  )
})
