import { expect, test } from "bun:test"
import { IN_MEMORY } from "../../src/store/open.ts"
import type { UsageEntry, UsageGrouping, UsageLedger, UsageQuestion } from "../../src/store/usage.ts"
import { usageReport } from "../../src/store/usage-report.ts"
import { open } from "./support.ts"

const NOW = Date.UTC(2026, 5, 1, 12, 30)

/** A ledger that notes what it is asked. */
function asked(by: string, since: number | null = null, until: number | null = null) {
  const questions: UsageQuestion[] = []
  const ledger: UsageLedger = {
    add() {},
    prune() {},
    query(question) {
      questions.push(question)
      return []
    },
  }
  const report = usageReport(ledger, { by, since, until }, NOW)
  return { question: questions[0], report }
}

const words: readonly (readonly [word: string, grouping: UsageGrouping])[] = [
  ["model", "model"],
  ["credential", "credential"],
  ["day", "day"],
  ["hour", "hour"],
  ["provider", "provider"],
  ["key", "principal"],
]
for (const [word, grouping] of words) {
  test(`"${word}" asks the ledger for each ${grouping}, and the report keeps the word`, () => {
    const { question, report } = asked(word)
    expect(question?.by).toBe(grouping)
    expect(report.by).toBe(word)
  })
}

test("a word that the edge would have refused counts as model", () => {
  for (const word of ["", "principal", "toString", "__proto__"]) expect(asked(word).question?.by).toBe("model")
})

test("open bounds take in everything up to now, this moment included", () => {
  const { question, report } = asked("model")
  expect(question).toEqual({ by: "model", since: 0, until: NOW + 1 })
  expect(report).toEqual({ by: "model", since: 0, until: NOW + 1, rows: [] })
})

test("bounds are passed on as they are, also zero", () => {
  expect(asked("day", 5, 9).question).toEqual({ by: "day", since: 5, until: 9 })
  expect(asked("day", 0, 0).report).toMatchObject({ since: 0, until: 0 })
})

test("an hour that began at this very moment is in the report", () => {
  const { store } = open(IN_MEMORY)
  const at = Date.UTC(2026, 5, 1, 12)
  const entry: UsageEntry = {
    ...{ at, provider: "codex", model: "m1", credential: null, principal: "laptop" },
    ...{ requests: 1, errors: 1, attempts: 2, input: 3, output: 4, cached: 5, reasoning: 6 },
  }
  store.usage.add([entry])
  const { rows } = usageReport(store.usage, { by: "key", since: null, until: null }, at)
  expect(rows).toEqual([
    {
      ...{ start: null, provider: null, model: null, credential: null, principal: "laptop" },
      ...{ requests: 1, errors: 1, attempts: 2, input: 3, output: 4, cached: 5, reasoning: 6 },
    },
  ])
  store.close()
})
