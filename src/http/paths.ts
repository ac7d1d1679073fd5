/** One route as the router lists it: a method, or "ALL", and a path with `:name` segments or a `*` at its end. */
export interface RouteEntry {
  readonly method: string
  readonly path: string
}

/** Answers which methods a path takes, so that a wrong method is told from an unknown path (RFC 9110, 15.5.6). */
export class PathTable {
  readonly #rules: readonly { readonly method: string; readonly pattern: RegExp }[]

  /** @param routes those registered for every method say nothing about a path and are left out. */
  constructor(routes: readonly RouteEntry[]) {
    this.#rules = routes
      .filter((route) => route.method !== "ALL")
      .map((route) => ({ method: route.method, pattern: pattern(route.path) }))
  }

  /** Methods in alphabetical order, HEAD wherever GET is; empty for an unknown path. */
  methods(path: string): readonly string[] {
    const found = new Set<string>()
    for (const rule of this.#rules) {
      if (!rule.pattern.test(path)) continue
      found.add(rule.method)
      if (rule.method === "GET") found.add("HEAD")
    }
    return [...found].sort()
  }
}

function pattern(path: string): RegExp {
  const parts = path.split("/").map((segment) => {
    if (segment === "*") return ".*"
    return segment.startsWith(":") ? "[^/]+" : RegExp.escape(segment)
  })
  return new RegExp(`^${parts.join("/")}/?$`)
}
