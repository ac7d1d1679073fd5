/** Colour for words, where the terminal and NO_COLOR allow it: without it every function gives its text back. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  good(text: string): string
  warn(text: string): string
  bad(text: string): string
}

/** SGR parameters (ECMA-48 8.3.117): what switches on, and what switches off. */
const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  good: [32, 39],
  warn: [33, 39],
  bad: [31, 39],
} as const satisfies Readonly<Record<keyof Paint, readonly [number, number]>>

export function createPaint(color: boolean): Paint {
  const with_ =
    (name: keyof Paint) =>
    (text: string): string => {
      if (!color || text === "") return text
      const [on, off] = CODES[name]
      return `\x1b[${on}m${text}\x1b[${off}m`
    }
  return { bold: with_("bold"), dim: with_("dim"), good: with_("good"), warn: with_("warn"), bad: with_("bad") }
}
