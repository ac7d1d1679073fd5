import { expect, test } from "bun:test"
import { resolve } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import { codexBytes, codexEvent, orderText, readOrder } from "../../scripts/lib/soak/answers.ts"
import { quantile } from "../../scripts/lib/soak/report.ts"

const cwd = resolve(import.meta.dir, "../..")
const soak = (...args: string[]) => capture([process.execPath, "scripts/lib/soak.ts", ...args], { cwd })

test("wrong arguments are named, and end with 64", async () => {
  for (const [args, says] of [
    [["--row", "L77"], "L77"],
    [["--minutes", "0"], "--minutes"],
    [["--minutes", "soon"], "--minutes"],
    [["--rows", "L1"], "--rows"],
  ] as const) {
    const { code, stderr } = await soak(...args)
    expect({ args, code }).toEqual({ args, code: 64 })
    expect(stderr).toContain(says)
  }
})

test("the upstream's bytes follow from the order alone, which survives a prompt", () => {
  const order = { ...readOrder(""), id: 7, events: 4, fill: 10 }
  expect(readOrder(`please ${orderText(order)} now`)).toEqual(order)
  expect(codexEvent(order, 6)).toBeNull()
  const text = Buffer.from(codexBytes(order)).toString()
  expect(text.match(/^event: /gm)).toHaveLength(6)
  expect(text).toEndWith("\n\n")
})

test("quantiles are values that were measured", () => {
  expect(quantile([3, 1, 2], 0.5)).toBe(2)
  expect(quantile([3, 1, 2], 0.99)).toBe(3)
  expect(quantile([], 0.5)).toBeNaN()
})
