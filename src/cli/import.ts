import { systemClock, systemTimers } from "../observe/clock.ts"
import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import { type Command, type Io, JSON_OPTION, SERVER_OPTIONS } from "./command.ts"
import { showId } from "./ids.ts"
import { readSources } from "./import-files.ts"
import { type Item, type Plan, planImport } from "./import-plan.ts"
import { type SendResult, type Sent, sendItems } from "./import-send.ts"
import { createPaint, type Paint } from "./paint.ts"
import { SERVER_EXITS, withServer } from "./server.ts"
import { isProvider } from "./shapes.ts"
import { PROVIDER_OPTION } from "./status.ts"
import { type Column, renderTable } from "./table.ts"

export const importCommand: Command = {
  words: ["import"],
  summary: "hand logins of other programs over to the pool",
  detail:
    "Takes what Codex CLI, Gemini CLI, CLIProxyAPI and gcli2api write, resource:add bodies, JSON arrays, JSON lines, and refresh tokens one a line; whose login it is follows from its shape. Of a directory it takes the .json, .jsonl and .txt files right in it. Files are only read. Ends with 0 when every login was added or known, with 65 when there was none to hand over, with 1 when some were not added.",
  examples: [
    { line: "pollux import ~/.codex/auth.json", says: "the login of Codex CLI" },
    { line: "pollux import ~/.gemini/oauth_creds.json", says: "the login of Gemini CLI" },
    { line: "pollux import --dry-run ~/.cli-proxy-api", says: "show what a directory holds, and send nothing" },
    { line: "ssh old-host cat auth.json | pollux import -", says: "from standard input" },
    { line: "pollux import --provider codex tokens.txt", says: "bare tokens that do not tell whose they are" },
  ],
  arguments: [{ name: "PATH", summary: "file or directory; - is standard input", required: true, many: true }],
  options: [
    { name: "dry-run", short: "n", summary: "show what would be handed over, and send nothing" },
    { ...PROVIDER_OPTION, summary: "whose logins these are, where they do not tell" },
    JSON_OPTION,
    ...SERVER_OPTIONS,
  ],
  exits: [...SERVER_EXITS, EXIT.badInput, EXIT.noInput, EXIT.interrupted],
  async run(input, io) {
    const provider = input.option("provider")
    const wanted = provider !== null && isProvider(provider) ? provider : null
    const sources = await readSources(input.args, io)
    const plan = planImport(sources, wanted)
    const json = input.has("json")
    warn(plan, io)
    if (input.has("dry-run") || plan.items.length === 0) {
      if (json) io.out(`${JSON.stringify(report(plan, null), null, 2)}\n`)
      else io.out(planText(plan, io))
      if (plan.items.length > 0) return EXIT.ok
      io.err("pollux: there is no login to import\n")
      const unread = sources.read.length === 0 && sources.unread.length > 0
      return unread ? EXIT.noInput : EXIT.badInput
    }
    return withServer(input, io, async (server) => {
      const progress = progressLine(plan.items.length, io)
      const stop = new AbortController()
      const offSignals = io.onSignal(["SIGINT", "SIGTERM"], (signal) => {
        if (stop.signal.aborted) io.exitNow(signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated)
        stop.abort()
      })
      const tools = { server, clock: systemClock, timers: systemTimers, signal: stop.signal, progress }
      const result = await sendItems(plan.items, tools).finally(offSignals)
      if (io.interactive && plan.items.length > 1) io.err("\r\x1b[K")
      if (json) io.out(`${JSON.stringify(report(plan, result), null, 2)}\n`)
      else io.out(resultText(plan, result, io))
      if (result.error !== null) throw result.error
      if (stop.signal.aborted) {
        io.err("Stopped. What was handed over stays with the server; run it again for the rest.\n")
        return EXIT.interrupted
      }
      const good = result.sent.every(({ outcome }) => outcome?.status === "adopted" || outcome?.status === "known")
      return good && !plan.skipped.some(({ fault }) => fault) ? EXIT.ok : EXIT.failure
    })
  },
}

function warn({ items, exposed }: Plan, io: Io): void {
  for (const { name, mode } of exposed) {
    const octal = mode.toString(8).padStart(4, "0")
    io.err(
      `warning: ${escapeControls(name)} holds logins, and its mode ${octal} lets other users in; run: chmod 600 ${escapeControls(name)}\n`,
    )
  }
  if (items.some(({ provider }) => provider === "codex")) {
    io.err(
      "warning: a Codex token has one owner, since every renewal replaces it. Once Pollux has these, the program that they came from must log in anew; used by both, the provider may revoke the login.\n",
    )
  }
}

function progressLine(all: number, io: Io): (done: number) => void {
  return (done) => {
    if (io.interactive && all > 1) io.err(`\r${done} of ${all} done`)
  }
}

const width = (io: Io) => (io.terminal ? io.columns : Number.POSITIVE_INFINITY)

const PLAN_COLUMNS: readonly Column[] = [
  { title: "SOURCE", min: 12 },
  { title: "PROVIDER" },
  { title: "FORMAT", min: 8, drop: 2 },
  { title: "PROJECT", min: 8, drop: 1 },
  { title: "TOKEN (SHA-256)", min: 8 },
]

function planText(plan: Plan, io: Io): string {
  const paint = createPaint(io.color)
  const rows = plan.items.map(({ source, provider, format, project, hash }) => [
    escapeControls(source),
    provider,
    format,
    escapeControls(project ?? ""),
    hash,
  ])
  const count = plan.items.length
  const head = count === 0 ? "" : `${count} ${count === 1 ? "login" : "logins"} would be handed over.\n`
  return [
    renderTable(PLAN_COLUMNS, rows, width(io), paint),
    head === "" ? "" : `\n${head}`,
    skippedText(plan, io, paint),
  ].join("")
}

function skippedText({ skipped, unrelated }: Plan, io: Io, paint: Paint): string {
  const lines: string[] = []
  if (skipped.length > 0) {
    const rows = skipped.map(({ source, why }) => [escapeControls(source), escapeControls(why)])
    lines.push(
      "\nLeft out\n",
      renderTable(
        [
          { title: "SOURCE", min: 12 },
          { title: "WHY", min: 16 },
        ],
        rows,
        width(io),
        paint,
      ),
    )
  }
  if (unrelated > 0) lines.push(`\n${unrelated} other ${unrelated === 1 ? "file" : "files"} without logins.\n`)
  return lines.join("")
}

const RESULT_COLUMNS: readonly Column[] = [
  { title: "SOURCE", min: 12 },
  { title: "TOKEN", drop: 1 },
  { title: "OUTCOME", min: 7 },
  { title: "CREDENTIAL" },
  { title: "DETAIL", min: 16, drop: 9 },
]

function resultText(plan: Plan, { sent }: SendResult, io: Io): string {
  const paint = createPaint(io.color)
  const rows = sent.map((one) => {
    const { item, outcome } = one
    const id = outcome?.credential ?? null
    const detail = [outcome?.email, outcome?.reason, outcome?.detail, outcome?.url]
    return [
      escapeControls(item.source),
      item.hash,
      outcomeWord(one, paint),
      id === null ? item.provider : showId(item.provider, id),
      detail.flatMap((part) => (typeof part === "string" && part !== "" ? [escapeControls(part)] : [])).join("\n"),
    ]
  })
  const counts = Object.entries(countsOf(sent)).filter(([, count]) => count > 0)
  const total = counts.map(([word, count]) => `${count} ${word}`).join(", ")
  const pending = sent.some(
    ({ outcome, handedOver }) => outcome?.status === "pending" || (handedOver && outcome === null),
  )
  const later = pending ? "The server goes on with what it has; `pollux status` shows it.\n" : ""
  return `${renderTable(RESULT_COLUMNS, rows, width(io), paint)}\n${total}.\n${later}${skippedText(plan, io, paint)}`
}

/** The server's words for outcomes, as people say them; what was not sent has none. */
const WORDS: Readonly<Record<string, string>> = {
  adopted: "added",
  known: "known",
  failed: "failed",
  pending: "pending",
}

function wordOf({ outcome, handedOver }: Sent): string {
  if (outcome === null) return handedOver ? "unanswered" : "not sent"
  return WORDS[outcome.status] ?? escapeControls(outcome.status)
}

function outcomeWord(sent: Sent, paint: Paint): string {
  const word = wordOf(sent)
  if (word === "added" || word === "known") return paint.good(word)
  return word === "pending" ? paint.warn(word) : paint.bad(word)
}

function countsOf(sent: readonly Sent[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = { added: 0, known: 0, failed: 0, pending: 0, unanswered: 0, "not sent": 0 }
  for (const one of sent) counts[wordOf(one)] = (counts[wordOf(one)] ?? 0) + 1
  return counts
}

function report(plan: Plan, result: SendResult | null): unknown {
  const shown = ({ source, provider, format, project, hash }: Item) => ({
    source,
    provider,
    format,
    project,
    token_sha256: hash,
  })
  const logins =
    result === null
      ? plan.items.map(shown)
      : result.sent.map((one) => ({
          ...shown(one.item),
          outcome: one.outcome ?? { status: wordOf(one).replace(" ", "_") },
        }))
  return {
    sent: result !== null,
    logins,
    left_out: plan.skipped.map(({ source, why }) => ({ source, why })),
    unrelated_files: plan.unrelated,
  }
}
