/** Longest time a test waits for something that should happen soon, in milliseconds. */
const SOON = 10_000
const POLL = 10

/**
 * Waits until `probe` gives something other than false, null or undefined, and returns it. A probe that throws counts as
 * "not yet".
 *
 * @throws Error naming `what` after `ms` milliseconds, with the probe's last error as its cause
 */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  ms: number = SOON,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + ms
  let last: unknown
  while (true) {
    try {
      const value = await probe()
      last = undefined
      if (isThere(value)) return value
    } catch (error) {
      last = error
    }
    if (performance.now() >= deadline) throw new Error(`waited ${ms} ms in vain: ${what}`, { cause: last })
    await Bun.sleep(POLL)
  }
}

function isThere<T>(value: T): value is Exclude<T, false | null | undefined> {
  return value !== false && value !== null && value !== undefined
}

/** The promise's value, or an error naming `what` after `ms` milliseconds. */
export async function within<T>(what: string, promise: Promise<T>, ms: number = SOON): Promise<T> {
  let timer: Timer | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain: ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
