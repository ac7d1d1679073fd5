/** Restricted Damerau-Levenshtein distance: insertions, deletions, substitutions and swaps of neighbours. */
export function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let best = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) best = Math.min(best, (beforeLast[column - 2] ?? 0) + 1)
      current.push(best)
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}

/** Shortest beginning or end that two names share on purpose. */
const SHARED = 5

/** Whether one name begins or ends with the other, as `custom_api_url` and `api_url` do. */
function akin(given: string, name: string): boolean {
  const [short, long] = given.length < name.length ? [given, name] : [name, given]
  return short.length >= SHARED && (long.startsWith(short) || long.endsWith(short))
}

/** Longest name worth comparing; what is longer was never meant to be one of ours. */
const LONGEST = 64

/** The name that was probably meant: one that is close, or one that is part of what was written; or null. */
export function suggest(given: string, names: Iterable<string>): string | null {
  if (given.length > LONGEST) return null
  const plain = (text: string) => text.toLowerCase().replaceAll("-", "_")
  const wanted = plain(given)
  let best: string | null = null
  let least = Math.max(1, Math.floor(given.length / 3)) + 1
  for (const name of names) {
    const steps = akin(wanted, name) ? 1 : distance(wanted, plain(name))
    if (steps < least) {
      best = name
      least = steps
    }
  }
  return best
}
