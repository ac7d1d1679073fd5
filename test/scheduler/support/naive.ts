import type { Action, Lease } from "../../../src/scheduler/ports.ts"
import { MODEL, OTHER } from "./world.ts"

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

interface Credential {
  standing: "active" | "parked" | "disabled" | "banned"
  /** Monotonic time per model. */
  readonly cooling: Map<string, number>
  readonly lacking: Map<string, number>
  /** The upstream refused the access token of this generation. */
  refused: boolean
  refreshDead: boolean
  generation: number
  /** Whether its access token is surely good. */
  sure: boolean
  /** Leases up to this one do not count any more. */
  amnesty: number
}

/** What the scheduler should know about credentials, kept in the plainest way: maps and loops. */
export class Naive {
  readonly #all = new Map<number, Credential>()
  #youngest = 0

  constructor(
    size: number,
    public now: number,
  ) {
    for (let id = 1; id <= size; id++) this.#all.set(id, fresh())
  }

  ids(): number[] {
    return [...this.#all.keys()]
  }

  has(id: number): boolean {
    return this.#all.has(id)
  }

  /** Why `id` must not be leased for `model` now, or null. */
  forbids(id: number, model: string, at = this.now): string | null {
    const one = this.#all.get(id)
    if (one === undefined) return "removed"
    if (one.standing !== "active") return one.standing
    if ((one.cooling.get(model) ?? 0) > at) return "cooling"
    if ((one.lacking.get(model) ?? 0) > at) return "lacking"
    return one.refused ? "refused token" : null
  }

  /** Those that must be leased at once. */
  surelyReady(model: string, exclude: ReadonlySet<number>, only: number | null): number[] {
    return this.ids().filter(
      (id) =>
        this.forbids(id, model) === null &&
        this.#all.get(id)?.sure === true &&
        !exclude.has(id) &&
        (only === null || only === id),
    )
  }

  given(lease: Lease): void {
    this.#youngest = Math.max(this.#youngest, lease.id)
  }

  punish(lease: Lease, action: Action, wall: number): void {
    const one = this.#all.get(lease.credential)
    if (one === undefined || lease.id <= one.amnesty) return
    switch (action.do) {
      case "cool":
        for (const model of action.scope === "all" ? [MODEL, OTHER] : action.scope) {
          extend(one.cooling, model, this.now + (action.until - wall))
        }
        break
      case "backoff": {
        // At least the first step; nothing is surely ready again for as long as the last step and its jitter may take.
        const step = action.ladder[0] ?? 0
        for (const model of action.scope === "all" ? [MODEL, OTHER] : action.scope) {
          if ((one.cooling.get(model) ?? 0) <= this.now) extend(one.cooling, model, this.now + step)
        }
        one.sure = false
        break
      }
      case "lacks":
        extend(one.lacking, action.model, this.now + (action.until - wall))
        break
      case "refresh":
        if (action.generation < one.generation) break
        one.refused = true
        one.sure = false
        if (one.refreshDead && one.standing === "active") one.standing = "parked"
        break
      case "park":
        if (one.standing === "active") one.standing = "parked"
        break
      case "ban":
        one.standing = "banned"
        break
      default:
    }
  }

  renewed(id: number): void {
    const one = this.#all.get(id)
    if (one === undefined) return
    if (one.standing === "parked" && one.refreshDead) one.standing = "active"
    one.refused = false
    one.refreshDead = false
    one.generation++
  }

  dead(id: number): void {
    const one = this.#all.get(id)
    if (one === undefined) return
    one.refreshDead = true
    if (one.refused && one.standing === "active") one.standing = "parked"
  }

  verb(verb: "disable" | "enable" | "clear" | "remove", id: number): void {
    const one = this.#all.get(id)
    if (one === undefined) return
    if (verb === "remove") this.#all.delete(id)
    else if (verb === "disable") one.standing = "disabled"
    else if (verb === "enable") {
      one.amnesty = this.#youngest
      one.standing = "active"
    } else {
      one.amnesty = this.#youngest
      one.cooling.clear()
      one.lacking.clear()
      one.refreshDead = false
      if (one.standing === "parked") one.standing = "active"
    }
    one.sure = false
  }

  /** A refused token may be tried once more after a restart, and short cooldowns are not stored. */
  restarted(): void {
    this.#youngest = 0
    for (const one of this.#all.values()) {
      one.refused = false
      one.generation = 1
      one.sure = false
      one.amnesty = 0
      for (const [model, at] of one.cooling) if (at - this.now < 30_000) one.cooling.delete(model)
    }
  }
}

function fresh(): Credential {
  return {
    standing: "active",
    cooling: new Map(),
    lacking: new Map(),
    refused: false,
    refreshDead: false,
    generation: 1,
    sure: true,
    amnesty: 0,
  }
}

function extend(map: Map<string, number>, model: string, at: number): void {
  map.set(model, Math.max(map.get(model) ?? 0, at))
}
