import type { TokenSet } from "./types.ts"

/** A token set as it was kept with a seed; null when the text is none. */
export function parseTokens(text: string): TokenSet | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== "object" || value === null) return null
  const { accessToken, refreshToken, expiresAt, idToken } = {
    accessToken: 0,
    refreshToken: 0,
    expiresAt: "",
    idToken: null,
    ...value,
  }
  if (typeof accessToken !== "string" || typeof refreshToken !== "string" || typeof expiresAt !== "number") return null
  return { accessToken, refreshToken, expiresAt, idToken: typeof idToken === "string" ? idToken : null }
}
