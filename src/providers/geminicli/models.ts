/** Model lists in the two forms that clients ask for. Which models there are is configuration; what is known of them stands here. */

interface Known {
  readonly displayName: string
  readonly inputTokenLimit: number
  readonly outputTokenLimit: number
  readonly thinking: boolean
  /** Day of release (UTC), for clients that want a `created`. */
  readonly released: string
}

const MILLION = 1_048_576
const LONG_OUTPUT = 65_536

const known = (displayName: string, released: string): Known => ({
  displayName,
  inputTokenLimit: MILLION,
  outputTokenLimit: LONG_OUTPUT,
  thinking: true,
  released,
})

/** Limits as Google documents them (ai.google.dev, models). */
const KNOWN: Readonly<Record<string, Known>> = {
  "gemini-2.5-pro": known("Gemini 2.5 Pro", "2025-06-17"),
  "gemini-2.5-flash": known("Gemini 2.5 Flash", "2025-06-17"),
  "gemini-2.5-flash-lite": known("Gemini 2.5 Flash-Lite", "2025-07-22"),
  "gemini-3-pro-preview": known("Gemini 3 Pro Preview", "2025-11-18"),
  "gemini-3-flash-preview": known("Gemini 3 Flash Preview", "2025-12-17"),
  "gemini-3.1-pro-preview": known("Gemini 3.1 Pro Preview", "2026-02-19"),
  "gemini-3.1-flash-lite-preview": known("Gemini 3.1 Flash-Lite Preview", "2026-03-03"),
  "gemini-3.1-flash-lite": known("Gemini 3.1 Flash-Lite", "2026-03-03"),
}

const knownOf = (id: string): Known | null => (Object.hasOwn(KNOWN, id) ? (KNOWN[id] ?? null) : null)

/** What works here; streaming is not listed apart by the API. */
const METHODS = ["generateContent", "countTokens"] as const

/** A Model of the Gemini API; what is not known is left out, never null. */
export function modelOf(id: string): Record<string, unknown> {
  const facts = knownOf(id)
  return {
    name: `models/${id}`,
    baseModelId: id,
    version: "001",
    displayName: facts?.displayName ?? id,
    ...(facts === null ? {} : { inputTokenLimit: facts.inputTokenLimit, outputTokenLimit: facts.outputTokenLimit }),
    supportedGenerationMethods: METHODS,
    ...(facts === null ? {} : { thinking: facts.thinking }),
  }
}

/** Google's bounds of `pageSize`. */
const DEFAULT_PAGE = 50
const LARGEST_PAGE = 1_000

/** A page of models; sizes and tokens that make no sense are taken as absent. */
export function modelList(ids: readonly string[], query: URLSearchParams): Record<string, unknown> {
  const size = natural(query.get("pageSize")) ?? DEFAULT_PAGE
  const from = natural(query.get("pageToken")) ?? 0
  const to = from + Math.min(size === 0 ? DEFAULT_PAGE : size, LARGEST_PAGE)
  return {
    models: ids.slice(from, to).map(modelOf),
    ...(to < ids.length ? { nextPageToken: String(to) } : {}),
  }
}

const natural = (text: string | null): number | null => (text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null)

/** The same list as OpenAI's SDKs read it. */
export function openaiModelList(ids: readonly string[]): Record<string, unknown> {
  return {
    object: "list",
    data: ids.map((id) => {
      const facts = knownOf(id)
      return {
        id,
        object: "model",
        created: facts === null ? 0 : Date.parse(facts.released) / 1_000,
        owned_by: "gemini-cli",
        display_name: facts?.displayName ?? id,
      }
    }),
  }
}
