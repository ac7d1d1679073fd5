import { json, refuse, text } from "./faults.ts"
import type { Access } from "./guard.ts"
import type { Visit } from "./visit.ts"

export type ReloadOutcome =
  | {
      readonly ok: true
      readonly changed: readonly string[]
      readonly needsRestart: readonly string[]
      /** Id of the key that every stored token is under now, or null when they are plain. */
      readonly encryptionKeyId: string | null
    }
  | { readonly ok: false; readonly problems: readonly string[] }

export interface UsageQuery {
  /** What a row stands for; see `groups`. */
  readonly by: string
  /** Wall time in milliseconds, or null for no bound. */
  readonly since: number | null
  readonly until: number | null
}

export interface HealthDeps {
  /** Why the process cannot serve; empty when it can. Draining is the edge's own reason. */
  ready(): readonly string[]
  readonly metrics: { text(): Promise<string>; readonly contentType: string }
  usage(query: UsageQuery): unknown
  reload(): Promise<ReloadOutcome>
}

/** One endpoint outside every provider's prefix. */
export interface Spot {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly access: Access
  /** Served while draining too. */
  readonly always: boolean
  readonly run: (visit: Visit) => Response | Promise<Response>
}

/** What `by` of `/usage` may be. */
const USAGE_GROUPS: ReadonlySet<string> = new Set(["model", "credential", "day", "hour", "provider", "key"])

/** What tells how the process itself is doing. */
export function healthSpots(deps: HealthDeps): readonly Spot[] {
  return [
    { method: "GET", path: "/healthz", access: "open", always: true, run: () => text("ok\n", 200) },
    {
      method: "GET",
      path: "/readyz",
      access: "client",
      always: false,
      run: () => {
        const reasons = deps.ready()
        return json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503)
      },
    },
    {
      // Kept open while draining: the last minutes of a process are worth seeing.
      method: "GET",
      path: "/metrics",
      access: "operator",
      always: true,
      run: async () =>
        new Response(await deps.metrics.text(), {
          headers: { "content-type": deps.metrics.contentType, "cache-control": "no-store" },
        }),
    },
    {
      method: "GET",
      path: "/usage",
      access: "admin",
      always: false,
      run: (visit) => json(deps.usage(usageQuery(visit))),
    },
    {
      method: "POST",
      path: "/reload",
      access: "admin",
      always: false,
      run: async () => {
        const outcome = await deps.reload()
        return json(outcome, outcome.ok ? 200 : 422)
      },
    },
  ]
}

function usageQuery({ query }: Visit): UsageQuery {
  const by = query.get("by") ?? "model"
  if (!USAGE_GROUPS.has(by)) {
    refuse({ kind: "invalid_request", message: `by: expected one of ${[...USAGE_GROUPS].join(", ")}` })
  }
  return { by, since: time(query.get("since"), "since"), until: time(query.get("until"), "until") }
}

/** A time as milliseconds since the epoch, or as ISO 8601. */
function time(raw: string | null, name: string): number | null {
  if (raw === null || raw === "") return null
  const at = /^\d{1,16}$/.test(raw) ? Number(raw) : Date.parse(raw)
  if (!Number.isFinite(at)) refuse({ kind: "invalid_request", message: `${name}: expected milliseconds or ISO 8601` })
  return at
}
