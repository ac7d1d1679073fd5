/** The body of `scripts/soak`: the load rows in their full form, one after the other. */
import { parseArgs } from "node:util"
import type { Check, Row } from "./soak/report.ts"
import { requestRows } from "./soak/request-rows.ts"
import { streamRows } from "./soak/stream-rows.ts"

/** The longest one last. */
const ROWS: readonly Row[] = [...requestRows, ...streamRows]
/** How long the mixed run takes unless it is told, in minutes. */
const MINUTES = 30

interface Wish {
  readonly rows: readonly Row[]
  readonly minutes: number
  readonly short: boolean
}

/** @throws Error in words for a person */
function wishOf(argv: readonly string[]): Wish {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      row: { type: "string", multiple: true },
      minutes: { type: "string" },
      short: { type: "boolean", default: false },
    },
  })
  const minutes = values.minutes === undefined ? MINUTES : Number(values.minutes)
  if (!(minutes > 0 && minutes <= 24 * 60)) throw new Error("--minutes: expected a number above 0, at most 1440")
  const ids = (values.row ?? []).flatMap((text) => text.split(",")).map((id) => id.trim().toUpperCase())
  const unknown = ids.find((id) => !ROWS.some((row) => row.id === id))
  if (unknown !== undefined) {
    throw new Error(`--row: there is no "${unknown}"; there are ${ROWS.map(({ id }) => id).join(", ")}`)
  }
  return { rows: ids.length === 0 ? ROWS : ROWS.filter(({ id }) => ids.includes(id)), minutes, short: values.short }
}

function show(mark: string, { what, measured }: Check): void {
  console.log(`  ${mark.padEnd(6)} ${what.padEnd(64)} ${measured}`)
}

async function main(argv: readonly string[]): Promise<number> {
  let wish: Wish
  try {
    wish = wishOf(argv)
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : String(error)}`)
    return 64
  }
  const count = { passed: 0, failed: 0, missed: 0 }
  for (const row of wish.rows) {
    const began = performance.now()
    console.log(`${row.id}: ${row.title}`)
    try {
      const scale = wish.short ? ({ form: "short" } as const) : ({ form: "full", minutes: wish.minutes } as const)
      const { checks, goals } = await row.run(scale)
      for (const one of checks) {
        show(one.held ? "ok" : "FAIL", one)
        if (one.held) count.passed++
        else count.failed++
      }
      for (const one of goals) {
        show(one.held ? "goal" : "missed", one)
        if (!one.held) count.missed++
      }
    } catch (error) {
      count.failed++
      console.log(`  FAIL   ${error instanceof Error ? error.message : String(error)}`)
    }
    console.log(`  ${Math.round((performance.now() - began) / 1_000)} s\n`)
  }
  console.log(`${count.passed} passed, ${count.failed} failed, ${count.missed} goals missed`)
  return count.failed === 0 ? 0 : 1
}

process.exit(await main(process.argv.slice(2)))
