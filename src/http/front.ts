import type { Endpoint, Handler } from "./guard.ts"
import type { HotRoute } from "./ports.ts"

interface Spot {
  readonly method: string
  /** What the path begins with, or all of it. */
  readonly path: string
  readonly open: boolean
  readonly endpoint: Endpoint
  readonly handler: Handler
}

/**
 * The few routes that nearly every request is for, found by comparing texts before the router is asked: Elysia 1.4 takes 1.0 of
 * the 15 microseconds that are spent on a request. They stand in the router as well, which knows which methods a path takes.
 */
export class Front {
  readonly #spots: Spot[] = []

  add({ method, path }: HotRoute, endpoint: Endpoint, handler: Handler): void {
    const open = path.endsWith("*")
    this.#spots.push({ method, path: open ? path.slice(0, -1) : path, open, endpoint, handler })
  }

  find(method: string, path: string): Spot | null {
    for (const spot of this.#spots) {
      if (spot.method !== method) continue
      if (spot.open ? path.startsWith(spot.path) : path === spot.path) return spot
    }
    return null
  }
}
