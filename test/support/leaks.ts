import { readdirSync, readFileSync } from "node:fs"
import { basename, join } from "node:path"

/** What a credential or an address looks like, whoever made it; masked forms (`a***@example.com`, `ya29…`) do not match. */
const SHAPES: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  { what: "a Google access token", pattern: /\bya29\.[\w-]{8,}/ },
  { what: "a Google refresh token", pattern: /\b1\/\/[\w-]{10,}/ },
  { what: "a Google authorization code", pattern: /\b4\/[\w-]{10,}/ },
  { what: "an OpenAI refresh token", pattern: /\b(?:rt|oaistb_rt)_[\w-]{16,}/ },
  { what: "a JWT", pattern: /\beyJ[\w-]{10,}\.[\w-]{10,}/ },
  { what: "a client secret", pattern: /\bGOCSPX-[\w-]{10,}/ },
  { what: "a bearer header", pattern: /\bBearer [\w.~+/-]{12,}/i },
  { what: "an e-mail address", pattern: /\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+/ },
]

/** Secrets that stand in `text`, each described without being repeated in full. */
export function findLeaks(text: string, secrets: Iterable<string>): readonly string[] {
  const found: string[] = []
  for (const value of secrets) {
    if (text.includes(value)) found.push(`a registered secret, ${clipped(value)}, in: ${around(text, value)}`)
  }
  for (const { what, pattern } of SHAPES) {
    const hit = pattern.exec(text)
    if (hit !== null) found.push(`${what}, ${clipped(hit[0])}, in: ${around(text, hit[0])}`)
  }
  return found
}

export interface Search {
  readonly leaks: readonly string[]
  /** How many logs were searched, for how many registered secrets. */
  readonly logs: number
  readonly secrets: number
}

/**
 * Searches all that Pollux wrote in one run of the tests.
 * @param record folder with `secrets-*.jsonl` and `*.log`, as `secrets.ts` and `binary.ts` write them
 */
export function searchLeaks(record: string): Search {
  const files = readdirSync(record)
  const secrets = new Set<string>()
  for (const file of files.filter((name) => name.endsWith(".jsonl"))) {
    for (const line of readFileSync(join(record, file), "utf8").split("\n")) {
      if (line !== "") secrets.add(String(JSON.parse(line)))
    }
  }
  const logs = files.filter((name) => name.endsWith(".log"))
  const leaks = logs.flatMap((name) => {
    const found = findLeaks(readFileSync(join(record, name), "utf8"), secrets)
    return found.map((leak) => `${basename(name, ".log")}: ${leak}`)
  })
  return { leaks, logs: logs.length, secrets: secrets.size }
}

function clipped(value: string): string {
  return `"${value.slice(0, 6)}…" (${value.length} characters)`
}

/** The line that holds `value`, with the value cut out. */
function around(text: string, value: string): string {
  const at = text.indexOf(value)
  const from = text.lastIndexOf("\n", at) + 1
  const to = text.indexOf("\n", at)
  const line = text.slice(from, to < 0 ? undefined : to).replaceAll(value, "<secret>")
  return line.length > 300 ? `${line.slice(0, 300)}…` : line
}
