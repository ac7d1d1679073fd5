/** L3, L4 and L7 in their short form (L4 for a minute); `scripts/soak` runs the full one. */
import { expect, test } from "bun:test"
import { streamRows } from "../../scripts/lib/soak/stream-rows.ts"

for (const { id, title, run } of streamRows) {
  test(`${id}: ${title}`, async () => {
    const { checks } = await run({ form: "short" })
    expect(checks.filter(({ held }) => !held)).toEqual([])
    expect(checks.length).toBeGreaterThan(0)
  }, 120_000)
}
