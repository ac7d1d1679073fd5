/** Finds the logins in the text of a file: JSON, JSON lines, or a token a line. Pure; never throws. */
import { candidates, type Recognised, recognise } from "./import-shapes.ts"
import type { ProviderName } from "./shapes.ts"

export interface Entry {
  /** Counted from 1; null when the text holds just one. */
  readonly place: number | null
  readonly found: Exclude<Recognised, { kind: "unknown" }>
}

/** What a text holds; `entries` is empty when it has nothing to do with logins. */
export interface Contents {
  readonly entries: readonly Entry[]
  /** What else is to be said of the text as a whole, or null. */
  readonly problem: string | null
  /** Whether it was meant to be JSON and is not, so that there may be more in it. */
  readonly damaged: boolean
}

export function readLogins(text: string, wanted: ProviderName | null): Contents {
  const whole = text.replace(/^\ufeff/, "")
  if (whole.trim() === "") return { entries: [], problem: "it is empty", damaged: false }
  const json = parsed(whole)
  if (json !== undefined) return collect(candidates(json.value), wanted)

  const values: unknown[] = []
  let damaged = 0
  for (const raw of whole.split(/\r\n|\n|\r/)) {
    const line = raw.trim()
    if (line === "" || line.startsWith("#")) continue
    if (!/^[[{"]/.test(line)) values.push(line)
    else {
      const read = parsed(line.replace(/,$/, ""))
      if (read === undefined) {
        damaged += 1
        // One object over many lines that breaks off is one fault, not a hundred.
        if (values.length === 0) break
      } else for (const value of candidates(read.value)) values.push(value)
    }
  }
  const contents = collect(values, wanted)
  if (damaged === 0) return contents
  const problem = values.length === 0 ? "it is damaged JSON" : `${damaged} of its lines are damaged JSON`
  return { entries: contents.entries, problem, damaged: true }
}

function collect(values: readonly unknown[], wanted: ProviderName | null): Contents {
  const entries = values.flatMap((value, index): Entry[] => {
    const found = recognise(value, wanted)
    return found.kind === "unknown" ? [] : [{ place: values.length > 1 ? index + 1 : null, found }]
  })
  return { entries, problem: entries.length === 0 ? "it holds no login" : null, damaged: false }
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
