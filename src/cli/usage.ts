import { EXIT } from "../observe/exit.ts"
import { type Command, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { readMoment } from "./moment.ts"
import { createPaint } from "./paint.ts"
import { SERVER_EXITS, withServer } from "./server.ts"
import { renderTable } from "./table.ts"
import { GROUPINGS, type Grouping, UsageShape, usageCells, usageColumns } from "./usage-view.ts"

/** What is shown when nothing is said about it. */
const SINCE: Readonly<Record<Grouping, string>> = {
  model: "30d",
  credential: "30d",
  day: "30d",
  hour: "24h",
  provider: "30d",
  key: "30d",
}

export const usage: Command = {
  words: ["usage"],
  summary: "show what was used: requests and tokens",
  detail:
    "WHEN is a length of time back from now (90min, 24h, 7d, 4w), a day (2026-11-01, from its first moment in UTC), or a time with offset (2026-11-01T13:00Z). Counts are kept by the hour for 35 days and by the day (UTC) for 400; a span begins with the whole hour or day that its beginning is in. Errors are requests whose client got no complete answer; cached is the part of the input that the provider had in its cache.",
  examples: [
    { line: "pollux usage", says: "by model, the last 30 days" },
    { line: "pollux usage --by credential --since 7d", says: "which credential did how much this week" },
    { line: "pollux usage --by day --since 2026-11-01 --until 2026-12-01", says: "a month, day by day" },
    { line: "pollux usage --by key --json", says: "for a program" },
  ],
  options: [
    { name: "by", value: "WHAT", choices: GROUPINGS, summary: "what a row stands for (default: model)" },
    { name: "since", value: "WHEN", summary: "the beginning (default: 30d; by hour: 24h)" },
    { name: "until", value: "WHEN", summary: "the end (default: now)" },
    ...SERVER_OPTIONS,
    JSON_OPTION,
  ],
  exits: SERVER_EXITS,
  async run(input, io) {
    const by = GROUPINGS.find((name) => name === input.option("by")) ?? "model"
    const now = Date.now()
    const since = readMoment(input.option("since") ?? SINCE[by], now, "past")
    const end = input.option("until")
    const until = end === null ? null : readMoment(end, now, "past")
    for (const [option, read] of [
      ["--since", since],
      ["--until", until],
    ] as const) {
      if (read === null || read.ok) continue
      io.err(`pollux: ${option}: ${read.problem}\n`)
      return EXIT.usage
    }
    if (!since.ok || until?.ok === false) return EXIT.usage
    if (until !== null && until.at <= since.at) {
      io.err("pollux: --until: the end does not come after the beginning\n")
      return EXIT.usage
    }
    const query = new URLSearchParams({ by, since: String(wholeSpan(since.at, now, by)) })
    if (until !== null) query.set("until", String(Math.max(0, until.at)))

    return withServer(input, io, async (server) => {
      const report = await server.get(`/usage?${query}`, UsageShape)
      if (input.has("json")) io.out(`${JSON.stringify(report, null, 2)}\n`)
      else if (report.rows.length === 0) io.out("Nothing was used in this time.\n")
      else {
        const width = io.terminal ? io.columns : Number.POSITIVE_INFINITY
        io.out(renderTable(usageColumns(by), usageCells(by, report.rows), width, createPaint(io.color)))
      }
      return EXIT.ok
    })
  },
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** From this age on the ledger may know days only. */
const DAYS_ONLY_MS = 35 * DAY_MS

/** The beginning of the hour or day that `at` is in, so that a span takes in what it begins with. Not before 1970. Pure. */
export function wholeSpan(at: number, now: number, by: Grouping): number {
  const grain = by === "day" || now - at >= DAYS_ONLY_MS ? DAY_MS : HOUR_MS
  return Math.max(0, at - (at % grain))
}
