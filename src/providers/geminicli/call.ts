/** One parsed request of a client. */
import type { CallBase } from "../../relay/ports.ts"
import type { Hole } from "./signatures.ts"

export type Verb = "generateContent" | "streamGenerateContent" | "countTokens"

/** How the answer is written: whole, as an event stream, or as one JSON array. */
export type Form = "unary" | "sse" | "array"

export interface GeminiCall extends CallBase {
  readonly verb: Verb
  readonly form: Form
  /** JSON text of the envelope's `request`: the client's own bytes where nothing had to change. */
  readonly request: Uint8Array
  /** Function calls to be given back their signatures, when it is known who serves. */
  readonly holes: readonly Hole[]
  /** `user_prompt_id`, ASCII: the same for every attempt of one request. */
  readonly promptId: Uint8Array
  /** What was left out or replaced after the upstream refused it, so that it is done once. */
  readonly amended: "none" | "signatures" | "count"
}
