/** Who is calling: an official Codex client (it has its own identity and version to announce) or anything else. */
import type { HeaderReader } from "../../relay/ports.ts"
import { isVersion } from "./version.ts"

export interface Caller {
  /** A Codex client: gets data keep-alives and `response.failed`, and its own originator goes upstream. */
  readonly codex: boolean
  readonly originator: string | null
  /** The whole User-Agent of a Codex client, else null. */
  readonly userAgent: string | null
  /** The version a Codex client announces, else null. */
  readonly version: string | null
}

/** Originators of official clients: `codex_cli_rs`, `codex-tui`, `codex_exec`, `codex_vscode`, `Codex Desktop`... */
const ORIGINATOR = /^(?:codex[_-][a-z][a-z_-]{1,30}|Codex [A-Z][\w .-]{1,40})$/
/** Product and version that begin a User-Agent (RFC 9110 10.1.5); the product of official clients may contain a space. */
const AGENT = /^((?:codex[_-][a-z][a-z_-]{1,30})|(?:Codex [A-Z][\w.-]{1,40}(?: [\w.-]{1,20})?))\/(\d[\w.-]{0,60})/
const PRINTABLE = /^[\x20-\x7e]{1,400}$/

const STRANGER: Caller = { codex: false, originator: null, userAgent: null, version: null }

export function callerOf(headers: HeaderReader): Caller {
  const userAgent = headers.get("user-agent") ?? ""
  const agent = userAgent.startsWith("codex") || userAgent.startsWith("Codex") ? AGENT.exec(userAgent) : null
  const named = headers.get("originator")
  const originator = named !== null && ORIGINATOR.test(named) ? named : (agent?.[1] ?? null)
  if (originator === null) return STRANGER
  const announced = headers.get("version") ?? agent?.[2] ?? ""
  return {
    codex: true,
    originator,
    userAgent: agent !== null && PRINTABLE.test(userAgent) ? userAgent : null,
    version: isVersion(announced) ? announced : null,
  }
}
