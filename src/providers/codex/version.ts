/**
 * Client versions (spec codex 4, version gate): the backend compares the announced version with each model's
 * `minimal_client_version`, so the highest one known to be honest is announced.
 */

import { copied } from "../../observe/copied.ts"

/** `x.y.z`, optionally with a pre-release suffix as alpha builds announce it. */
const VERSION = /^\d{1,5}\.\d{1,5}\.\d{1,5}(?:-[0-9A-Za-z.-]{1,32})?$/

export function isVersion(value: string): boolean {
  return VERSION.test(value)
}

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`; a pre-release precedes its release (SemVer 11). */
export function compareVersions(a: string, b: string): number {
  const [coreA = "", preA] = split(a)
  const [coreB = "", preB] = split(b)
  const left = coreA.split(".")
  const right = coreB.split(".")
  for (let i = 0; i < 3; i++) {
    const difference = (Number(left[i]) || 0) - (Number(right[i]) || 0)
    if (difference !== 0) return difference
  }
  if (preA === preB) return 0
  if (preA === undefined) return 1
  if (preB === undefined) return -1
  return preA.localeCompare(preB, "en", { numeric: true })
}

/** The newer of two; `a` where `b` is null or no version. */
export function newer(a: string, b: string | null): string {
  return b !== null && isVersion(b) && compareVersions(b, a) > 0 ? b : a
}

/**
 * The version under which each model was served last. What a caller announces is believed only then, since any key could name a
 * version that is none; the newest word counts, so that a gate that is raised, or a wrong version that passed, does not stay.
 */
export class ServedVersions {
  /** A handful, since models come from the configuration. */
  readonly #last = new Map<string, string>()

  served(model: string, version: string): void {
    // It outlives the request that named it.
    if (this.#last.get(model) !== version) this.#last.set(model, copied(version))
  }

  /** The newest version known to be good for `model`, at least the configured one. */
  newest(model: string, configured: string): string {
    return newer(configured, this.#last.get(model) ?? null)
  }
}

function split(version: string): [string, string | undefined] {
  const dash = version.indexOf("-")
  return dash < 0 ? [version, undefined] : [version.slice(0, dash), version.slice(dash + 1)]
}
