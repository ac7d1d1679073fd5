import type { Log } from "../observe/ports.ts"
import type { AccessEntry } from "./guard.ts"

/** What asks every few seconds; lines about it would bury the others. */
const PROBES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"])

/** The way to one login. Its id stands by itself in a line: joined, path and id are masked as one secret. */
const LOGIN = /^(\/[^/]+\/login)\/([^/]+)$/

/** At which level a request that no relay took is logged. Pure. */
export function accessLevel({
  path,
  status,
  fault,
}: Pick<AccessEntry, "path" | "status" | "fault">): "debug" | "info" | "warn" | "error" {
  // Somebody asked for the stop: nothing is wrong.
  if (fault === "draining") return "info"
  // How a client that tries a WebSocket first is sent to POST, at the beginning of each of its sessions.
  if (status === 426) return "info"
  if (status >= 500) return status === 501 ? "warn" : "error"
  if (status >= 400) return "warn"
  return PROBES.has(path) ? "debug" : "info"
}

/** One line for each request that did not go through a relay; a relay's recorder writes the others. */
export function logAccess(log: Log, entry: AccessEntry): void {
  const { requestId, status, fault, method, path, principal, address, userAgent, ms } = entry
  const [, prefix, login] = LOGIN.exec(path) ?? []
  log[accessLevel(entry)]("request", {
    request_id: requestId,
    status,
    reason: fault ?? undefined,
    method,
    path: prefix === undefined ? path : `${prefix}/{id}`,
    login,
    address,
    key: principal,
    ms: Math.round(ms),
    agent: userAgent,
  })
}
