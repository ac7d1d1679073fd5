import { suggest } from "../config/suggest.ts"
import { isProvider, PROVIDERS, type ProviderName } from "./shapes.ts"

/** A credential as typed: ids are per provider, so the provider may be missing. */
export interface Named {
  readonly provider: ProviderName | null
  readonly id: number
}

export type ReadId = { readonly ok: true; readonly named: Named } | { readonly ok: false; readonly problem: string }

/** Reads `codex:3`, or `3` with the provider given apart. Pure. */
export function parseId(text: string, provider: string | null): ReadId {
  const bad = (problem: string): ReadId => ({ ok: false, problem })
  const [, prefix, digits] = /^(?:([^:]*):)?(\d{1,15})$/.exec(text.trim()) ?? []
  if (digits === undefined)
    return bad(`"${text}" is no credential: expected one like codex:3, as \`pollux status\` shows them`)
  const id = Number(digits)
  if (id === 0) return bad(`"${text}" is no credential: they are counted from 1`)
  const stated = prefix ?? provider
  if (stated === null) return { ok: true, named: { provider: null, id } }
  if (!isProvider(stated)) {
    const close = suggest(stated, PROVIDERS)
    return bad(
      `no provider is called "${stated}"${close === null ? `: ${PROVIDERS.join(", ")}` : `; did you mean "${close}"?`}`,
    )
  }
  if (prefix !== undefined && provider !== null && prefix !== provider) {
    return bad(`"${text}" and --provider ${provider} contradict each other`)
  }
  return { ok: true, named: { provider: stated, id } }
}

export function showId(provider: string, id: number): string {
  return `${provider}:${id}`
}
