/** What a path below the API's prefix asks for. Pure; nothing here is ever put into an upstream URL. */
import type { EdgeFault } from "../../http/ports.ts"
import type { Form, Verb } from "./call.ts"

export const PREFIX = "/geminicli/v1beta"

/** A model and what to do with it; `verb` is null for the bare model. */
export interface ModelPath {
  readonly model: string
  readonly verb: string | null
}

/**
 * Splits what follows `/models/`, percent-encoded as it came, at its last colon. `models/models/x` is tolerated, as the SDKs hand
 * back names as served. Null if it is no model at all.
 */
export function splitModelPath(rest: string): ModelPath | null {
  const text = decode(rest)
  if (text === null) return null
  const named = text.startsWith("models/") ? text.slice("models/".length) : text
  const colon = named.lastIndexOf(":")
  const model = colon === -1 ? named : named.slice(0, colon)
  return model === "" ? null : { model, verb: colon === -1 ? null : named.slice(colon + 1) }
}

function decode(text: string): string | null {
  if (!text.includes("%")) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

/** How a stream is framed: `alt=sse` decides, any other form is one JSON array (spec 4.6). */
export function formOf(query: URLSearchParams): Form {
  return (query.get("alt") ?? query.get("$alt")) === "sse" ? "sse" : "array"
}

const VERBS: Readonly<Record<string, Verb>> = {
  generateContent: "generateContent",
  streamGenerateContent: "streamGenerateContent",
  countTokens: "countTokens",
}

export const verbOf = (name: string): Verb | null => (Object.hasOwn(VERBS, name) ? (VERBS[name] ?? null) : null)

/** Verbs of the Gemini API that Cloud Code does not offer. */
const LACKING_VERBS = new Set([
  "asyncBatchEmbedContent",
  "batchEmbedContents",
  "batchEmbedText",
  "batchGenerateContent",
  "bidiGenerateContent",
  "countMessageTokens",
  "countTextTokens",
  "embedContent",
  "embedText",
  "generateAnswer",
  "generateImages",
  "generateMessage",
  "generateText",
  "generateVideos",
  "predict",
  "predictLongRunning",
  "streamGenerateAnswer",
  "transferOwnership",
])

/** Collections of the Gemini API that Cloud Code does not offer. */
const LACKING_COLLECTIONS = new Set([
  "auth_tokens",
  "batches",
  "cachedContents",
  "corpora",
  "dynamic",
  "fileSearchStores",
  "files",
  "generatedFiles",
  "interactions",
  "operations",
  "ragStores",
  "tunedModels",
])

/** Why a verb cannot be served. */
export function verbFault(verb: string): EdgeFault {
  return LACKING_VERBS.has(verb)
    ? { kind: "not_implemented", message: `${verb} is not offered by Cloud Code.` }
    : { kind: "not_found", message: "There is no such method." }
}

/** Why a path below the prefix that is no route cannot be served. */
export function pathFault(path: string): EdgeFault {
  const collection = path.slice(PREFIX.length + 1).split(/[/:]/, 1)[0] ?? ""
  if (collection === "openai")
    return {
      kind: "not_implemented",
      message: "Of OpenAI's form only the list of models is served here; call models/{model}:generateContent instead.",
    }
  return LACKING_COLLECTIONS.has(collection)
    ? { kind: "not_implemented", message: `${collection} are not offered by Cloud Code.` }
    : { kind: "not_found", message: "There is nothing at this path." }
}
