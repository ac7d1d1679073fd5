/** What an import will do: the logins to hand over, each once, and what is left out and why. Pure. */
import type { Sources } from "./import-files.ts"
import { readLogins } from "./import-text.ts"
import type { ProviderName } from "./shapes.ts"

export interface Item {
  /** File and place in it. */
  readonly source: string
  readonly provider: ProviderName
  readonly format: string
  readonly project: string | null
  /** Secret. */
  readonly token: string
  /** First digits of the token's SHA-256: tells tokens apart and tells nothing about them. */
  readonly hash: string
}

export interface Skipped {
  readonly source: string
  readonly why: string
  /** Whether somebody who named this would call it a failure. */
  readonly fault: boolean
}

export interface Plan {
  readonly items: readonly Item[]
  readonly skipped: readonly Skipped[]
  /** Files of directories that have nothing to do with logins. */
  readonly unrelated: number
  /** Files with logins that other users may read: name and mode. */
  readonly exposed: readonly { readonly name: string; readonly mode: number }[]
}

export function planImport(sources: Sources, wanted: ProviderName | null): Plan {
  const items = new Map<string, Item>()
  const skipped: Skipped[] = sources.unread.map(({ name, why, named }) => ({ source: name, why, fault: named }))
  const exposed: { name: string; mode: number }[] = []
  let unrelated = 0
  for (const { name, text, named, open } of sources.read) {
    const { entries, problem, damaged } = readLogins(text, wanted)
    if (entries.length === 0 && !named && !damaged) {
      unrelated += 1
      continue
    }
    if (problem !== null) skipped.push({ source: name, why: problem, fault: named })
    if (open !== null && entries.length > 0) exposed.push({ name, mode: open })
    for (const { place, found } of entries) {
      const source = place === null ? name : `${name} #${place}`
      if (found.kind === "unusable") {
        skipped.push({ source, why: found.why, fault: named })
        continue
      }
      const { provider, format, project, token } = found
      const known = items.get(token)
      if (known === undefined) items.set(token, { source, provider, format, project, token, hash: hashOf(token) })
      else skipped.push({ source, why: `the same token as ${known.source}`, fault: false })
    }
  }
  return { items: [...items.values()], skipped, unrelated, exposed }
}

export function hashOf(token: string): string {
  return new Bun.CryptoHasher("sha256").update(token).digest("hex").slice(0, 8)
}
