/** A JSON object whose members are not believed yet. */
export type Json = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

/** A string with something in it, or null. */
export function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null
}

/** A finite number, also when it was sent as a decimal string; else null. */
export function number(value: unknown): number | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null
  if (typeof value !== "string" || !/^-?\d{1,15}(?:\.\d{1,9})?$/.test(value.trim())) return null
  return Number(value)
}

/** The value, or null when the text is no JSON or nests too deeply. */
export function parse(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch {
    return null
  }
}

/** The object, or null when the text is no JSON object. */
export function parseObject(source: string): Json | null {
  const value = parse(source)
  return isObject(value) ? value : null
}
