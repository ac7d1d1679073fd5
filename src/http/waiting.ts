import type { HeaderReader } from "../relay/ports.ts"
import { HttpError } from "./ports.ts"

/**
 * Reads `?wait=`: null when absent or `false`, else milliseconds.
 * @param usual what `true` stands for, in seconds
 * @param most upper bound in seconds; longer waits are cut to it
 * @throws HttpError invalid_request
 */
export function waitOf(query: URLSearchParams, usual: number, most: number): number | null {
  const raw = query.get("wait")
  if (raw === null || raw === "false" || raw === "0") return null
  if (raw === "true" || raw === "") return usual * 1000
  const seconds = /^\d{1,6}(?:\.\d{1,3})?$/.test(raw) ? Number(raw) : Number.NaN
  if (Number.isNaN(seconds)) throw new HttpError({ kind: "invalid_request", message: "wait: expected true or seconds" })
  return Math.min(seconds, most) * 1000
}

/** Whether the caller asks for JSON by name; `*\/*` does not. */
export function acceptsJson(headers: HeaderReader): boolean {
  return /\bapplication\/json\b/i.test(headers.get("accept") ?? "")
}

/** Whether a person looks at the answer in a browser. */
export function acceptsHtml(headers: HeaderReader): boolean {
  return /\btext\/html\b/i.test(headers.get("accept") ?? "")
}
