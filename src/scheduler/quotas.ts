import type { QuotaWindow } from "../store/types.ts"
import type { Entry } from "./entry.ts"
import type { Ledger } from "./ledger.ts"
import type { CredentialPool } from "./pool.ts"

/** Most windows kept per credential; the oldest go first. */
const MOST = 32

/** What was known, with `fresh` windows in the place of older ones of the same family and name. */
export function mergeQuotas(known: readonly QuotaWindow[], fresh: readonly QuotaWindow[]): readonly QuotaWindow[] {
  const kept = known.filter((old) => !fresh.some((one) => one.family === old.family && one.name === old.name))
  return [...kept, ...fresh].slice(-MOST)
}

/** Takes in what an upstream told about a credential's quotas and plan, be it beside an answer or because it was asked. */
export function learnQuotas(
  { pool, ledger }: { readonly pool: CredentialPool; readonly ledger: Ledger },
  entry: Entry,
  told: { readonly quotas: readonly QuotaWindow[]; readonly plan: string | null },
): void {
  const { quotas, plan } = told
  if (quotas.length > 0) {
    entry.quotas = mergeQuotas(entry.quotas, quotas)
    ledger.quotas(entry.id, entry.quotas)
  }
  if (plan !== null && plan !== entry.identity.plan) {
    const before = entry.identity.plan
    entry.identity = { ...entry.identity, plan }
    ledger.plan(entry.id, plan)
    planKnown({ pool, ledger }, entry, before)
  }
  pool.changed?.add(entry)
}

/** Another plan may have other models: what the credential lacked under the one `before` no longer counts. */
export function planKnown(
  { pool, ledger }: { readonly pool: CredentialPool; readonly ledger: Ledger },
  entry: Entry,
  before: string | null,
): void {
  if (before === null || before === entry.identity.plan) return
  ledger.note(
    entry,
    pool.unmark(entry).map((model) => ({ set: "mark_over", model })),
  )
}
