/** A provider's pool as text for people: one table, totals per model, seeds that wait or failed. Pure. */
import { escapeControls } from "../observe/escape.ts"
import { quotaLabel, quotaLine } from "./bar.ts"
import { showId } from "./ids.ts"
import type { Paint } from "./paint.ts"
import type { Credential, List, SeedRecord } from "./shapes.ts"
import { type Column, renderTable } from "./table.ts"
import { duration, relative, when } from "./when.ts"

export interface Look {
  /** Wall time in milliseconds. */
  readonly now: number
  /** Columns of the terminal, or Infinity. */
  readonly width: number
  readonly paint: Paint
}

/** Failed seeds that are shown, newest first. */
const FAILED_SHOWN = 10

const COLUMNS: readonly Column[] = [
  { title: "ID" },
  { title: "ACCOUNT", min: 8, drop: 4 },
  { title: "PLAN", min: 4, drop: 5 },
  { title: "STATE", min: 8 },
  { title: "WHY", min: 12 },
  { title: "QUOTA LEFT, RESET IN", min: 26, drop: 2 },
  { title: "IN FLIGHT", min: 6, align: "right", drop: 6 },
  { title: "LAST ERROR", min: 14, drop: 3 },
]

export function poolText(list: List, look: Look): string {
  const { paint } = look
  const lines = [`${paint.bold(escapeControls(list.provider))}  ${totals(list)}\n`]
  if (list.credentials.length === 0) {
    const name = escapeControls(list.provider)
    lines.push(`No credential yet: \`pollux login ${name}\`, or \`pollux import FILE\`.\n`)
  } else {
    lines.push("\n", credentialTable(list.provider, list.credentials, look))
  }
  const models = Object.entries(list.models)
  if (models.length > 0) {
    const rows = models.map(([model, { ready }]) => [
      escapeControls(model),
      ready > 0 ? paint.good(String(ready)) : paint.bad("0"),
    ])
    const heads: readonly Column[] = [{ title: "MODEL" }, { title: "READY", align: "right" }]
    lines.push("\n", renderTable(heads, rows, look.width, paint))
  }
  const seeds = seedText(list.seeds, look)
  if (seeds !== "") lines.push("\n", seeds)
  return lines.join("")
}

/** `3 credentials: 2 ready, 1 cooling; 4 in flight, 2 waiting`. */
function totals({ counts, credentials }: List): string {
  const { inFlight = 0, waiting = 0, pendingSeeds = 0, ...states } = counts
  const present = Object.entries(states).filter(([, count]) => count > 0)
  const head = `${credentials.length} ${credentials.length === 1 ? "credential" : "credentials"}`
  const by = present.map(([state, count]) => `${count} ${escapeControls(state)}`).join(", ")
  const load = [
    inFlight > 0 ? `${inFlight} in flight` : "",
    waiting > 0 ? `${waiting} ${waiting === 1 ? "request" : "requests"} waiting` : "",
    pendingSeeds > 0 ? `${pendingSeeds} being added` : "",
  ].filter((text) => text !== "")
  return [by === "" ? head : `${head}: ${by}`, ...load].join("; ")
}

export function credentialTable(provider: string, credentials: readonly Credential[], look: Look): string {
  const rows = credentials.map((credential) => [
    escapeControls(showId(provider, credential.id)),
    accountText(credential),
    escapeControls(credential.plan ?? ""),
    stateText(credential.state, look.paint),
    whyText(credential, look),
    quotaText(credential, look),
    credential.inFlight === 0 ? "" : String(credential.inFlight),
    errorText(credential, look),
  ])
  return renderTable(COLUMNS, rows, look.width, look.paint)
}

/** Address and account, as short as they can be told apart by. */
export function accountText({ email, account }: Pick<Credential, "email" | "account">): string {
  const short = account.length > 24 ? `...${account.slice(-6)}` : account
  return [email, short]
    .filter((part) => part !== null && part !== "")
    .map((part) => escapeControls(part ?? ""))
    .join("\n")
}

export function stateText(state: string, paint: Paint): string {
  const shown = escapeControls(state)
  if (state === "ready") return paint.good(shown)
  if (state === "cooling" || state === "refreshing" || state === "expired") return paint.warn(shown)
  if (state === "parked" || state === "banned") return paint.bad(shown)
  return paint.dim(shown)
}

/** Reason, until when, what the operator can do, and what else is out of order: one per line. */
export function whyText(credential: Credential, look: Look): string {
  const { now, paint } = look
  const lines: string[] = []
  if (credential.reason !== null && credential.reason !== credential.state)
    lines.push(escapeControls(credential.reason))
  if (credential.until !== null) lines.push(when(credential.until, now))
  if (credential.detail !== null && credential.detail !== "") lines.push(escapeControls(credential.detail))
  if (credential.url !== null) lines.push(escapeControls(credential.url))
  for (const { scope, until, stated, cause } of credential.cooldowns) {
    // One for all models is the state's own reason, and stands above.
    if (scope === "*" || until <= now) continue
    const said = stated - until > 60_000 ? `, stated ${relative(stated, now)}` : ""
    lines.push(`${escapeControls(scope)}: ${escapeControls(cause)}, ${relative(until, now)}${said}`)
  }
  for (const { model, until } of credential.lacks) {
    if (until > now)
      lines.push(`${escapeControls(model)}: not available to the account, asked again ${relative(until, now)}`)
  }
  if (credential.refreshDead !== null && credential.state !== "parked") {
    const left = credential.expiresAt === null ? "" : `; serves for another ${duration(credential.expiresAt - now)}`
    lines.push(paint.bad(`cannot be renewed (${escapeControls(credential.refreshDead)})${left}: log in again`))
  }
  if (credential.ambiguousRefresh)
    lines.push(paint.warn("a renewal was sent and not answered; it is being tried again"))
  return lines.join("\n")
}

function quotaText({ quotas }: Credential, { now, paint }: Look): string {
  const families = new Set(quotas.map((quota) => quota.family)).size
  const labels = quotas.map((quota) => quotaLabel(quota, families))
  const width = Math.max(0, ...labels.map((label) => Bun.stringWidth(label)))
  return quotas
    .map((quota, i) => {
      const label = labels[i] ?? ""
      return quotaLine(quota, now, paint, label + " ".repeat(width - Bun.stringWidth(label)))
    })
    .join("\n")
}

function errorText({ lastError }: Credential, { now, paint }: Look): string {
  if (lastError === null) return ""
  const { at, status, cause, message } = lastError
  const head = [status === null ? "" : String(status), escapeControls(cause)].filter((part) => part !== "").join(" ")
  const said = escapeControls(message).replace(/^status \d{3}: /, "")
  const short = said.length > 120 ? `${said.slice(0, 119)}…` : said
  return [head, paint.dim(relative(at, now)), short].filter((part) => part !== "").join("\n")
}

function seedText(seeds: readonly SeedRecord[], look: Look): string {
  const { now, paint, width } = look
  const pending = seeds.filter((seed) => seed.status === "pending")
  const failed = seeds.filter((seed) => seed.status === "failed").toSorted((a, b) => b.updatedAt - a.updatedAt)
  const lines: string[] = []
  if (pending.length > 0) {
    const oldest = Math.min(...pending.map((seed) => seed.createdAt))
    lines.push(`Being added: ${pending.length}, the oldest handed in ${relative(oldest, now)}\n`)
  }
  if (failed.length > 0) {
    const rows = failed.slice(0, FAILED_SHOWN).map((seed) => [
      relative(seed.updatedAt, now),
      paint.bad(escapeControls(seed.reason ?? "failed")),
      [seed.detail, seed.url]
        .filter((part) => typeof part === "string" && part !== "")
        .map((part) => escapeControls(part ?? ""))
        .join("\n"),
    ])
    const more = failed.length - rows.length
    lines.push(`Not added: ${failed.length}${more > 0 ? `, the latest ${rows.length}` : ""}\n`)
    lines.push(renderTable([{ title: "WHEN" }, { title: "REASON" }, { title: "DETAIL", min: 16 }], rows, width, paint))
  }
  return lines.join("")
}
