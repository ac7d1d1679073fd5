import { isDeepStrictEqual } from "node:util"
import type { Field } from "./field.ts"
import { basic, codex, geminicli, shared } from "./schema.ts"
import type { Config } from "./types.ts"

/** Names of the keys that differ between two configurations; never their values. */
export interface ReloadDiff {
  /** Applied by the reload. */
  readonly live: readonly string[]
  /** Applied only by a restart. */
  readonly restart: readonly string[]
}

type FieldTable = Readonly<Record<string, Field<unknown>>>

/** What a reload from `old` to `next` changes, and what of it has to wait for a restart. Pure. */
export function diffReload(old: Config, next: Config): ReloadDiff {
  const live: string[] = []
  const restart: string[] = []

  function compare(name: string, fields: FieldTable, before: object, after: object): void {
    const values = new Map<string, unknown>(Object.entries(after))
    for (const [member, value] of Object.entries(before)) {
      const field = fields[member]
      if (field === undefined || isDeepStrictEqual(value, values.get(member))) continue
      ;(field.live ? live : restart).push(`${name}.${field.key}`)
    }
  }

  compare("basic", { ...basic }, old.basic, next.basic)
  compare("providers.geminicli", { ...shared, ...geminicli }, old.providers.geminicli, next.providers.geminicli)
  compare("providers.codex", { ...shared, ...codex }, old.providers.codex, next.providers.codex)
  if (!isDeepStrictEqual(old.keys, next.keys)) live.push("keys")
  return { live, restart }
}

/**
 * The configuration in use after a reload: `next`, but for what only a restart applies, which stays as it runs. So the next reload
 * goes on naming it, and no longer does when the file is back at what runs. Pure.
 */
export function applyReload(running: Config, next: Config): Config {
  const { listenAddr, listenPort, databasePath, logFormat } = running.basic
  return { ...next, basic: { ...next.basic, listenAddr, listenPort, databasePath, logFormat } }
}
