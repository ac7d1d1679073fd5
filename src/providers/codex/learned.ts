/**
 * Parameters the backend has refused by name (`Unsupported parameter: X`), remembered per model so that only the first request
 * pays for the lesson. Bounded; forgotten after a day, since backends change.
 */

const LIFETIME = 24 * 3_600_000
const MAX_ENTRIES = 256

/** Without these a request means something else: a refusal of one is told to the client. */
const ESSENTIAL: ReadonlySet<string> = new Set([
  "model",
  "input",
  "instructions",
  "store",
  "stream",
  "tools",
  "tool_choice",
  "reasoning",
  "text",
])

const REFUSAL = /unsupported parameter:?\s*['"`]?([a-z][\w.]{0,63})/i

/** The parameter that an error refuses, or null. Only top-level ones that can be left out are named. */
export function refusedParameter(message: string | null, param: string | null): string | null {
  const found = message === null ? undefined : REFUSAL.exec(message)?.[1]
  if (found === undefined) return null
  const name = param ?? found
  return ESSENTIAL.has(name) || !/^[a-z]\w{0,63}$/i.test(name) ? null : name
}

export class LearnedParameters {
  readonly #models = new Map<string, Map<string, number>>()
  #size = 0

  learn(model: string, name: string, now: number): void {
    if (this.#size >= MAX_ENTRIES) this.#forgetAll()
    const names = this.#models.get(model) ?? new Map<string, number>()
    if (!names.has(name)) this.#size++
    names.set(name, now)
    this.#models.set(model, names)
  }

  /** Names to leave out for a model; usually none, and then nobody asks the time. */
  unsupported(model: string, wall: () => number): readonly string[] {
    const names = this.#models.get(model)
    if (names === undefined) return NOTHING
    const now = wall()
    for (const [name, at] of names) {
      if (now - at < LIFETIME) continue
      names.delete(name)
      this.#size--
    }
    return [...names.keys()]
  }

  #forgetAll(): void {
    this.#models.clear()
    this.#size = 0
  }
}

const NOTHING: readonly string[] = []
