/** L1, L2, L5, L6, L9, L10 in their short form; `scripts/soak` runs the full one, and tells of times and rates. */
import { expect, test } from "bun:test"
import { requestRows } from "../../scripts/lib/soak/request-rows.ts"

for (const { id, title, run } of requestRows) {
  test(`${id}: ${title}`, async () => {
    const { checks } = await run({ form: "short" })
    expect(checks.filter(({ held }) => !held)).toEqual([])
    expect(checks.length).toBeGreaterThan(0)
  }, 60_000)
}
