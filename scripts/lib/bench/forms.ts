/** Proxies without logic that the benchmark starts for comparison. */
export const FORMS = ["pass", "read", "reframe", "translate"] as const

/** Answered by each subject itself: what that takes is the time until the subject gets round to it. */
export const PROBED = "/healthz"

export type Form = (typeof FORMS)[number]

/** @throws Error for an unknown one */
export function parseForm(text: string): Form {
  const form = FORMS.find((known) => known === text)
  if (form === undefined) throw new Error(`unknown form "${text}"; known are ${FORMS.join(", ")}`)
  return form
}
