/** What the doctor makes of what it sees. Pure. */
import type { Config } from "../config/types.ts"
import { escapeControls } from "../observe/escape.ts"
import { showId } from "./ids.ts"
import type { List } from "./shapes.ts"
import { duration } from "./when.ts"

export interface Finding {
  /** What was looked at, e.g. `database`. */
  readonly check: string
  /** `warn`: it works, or may; `fail`: it does not. */
  readonly state: "ok" | "warn" | "fail"
  readonly says: string
  /** What to do about it; null for what is well, or where `says` has it all. */
  readonly cure: string | null
}

export function ok(check: string, says: string): Finding {
  return { check, state: "ok", says, cure: null }
}

export function warn(check: string, says: string, cure: string | null): Finding {
  return { check, state: "warn", says, cure }
}

export function fail(check: string, says: string, cure: string | null): Finding {
  return { check, state: "fail", says, cure }
}

/** A provider refuses tokens and signatures from a clock that is minutes off; a Date header has whole seconds (RFC 9110 6.6.1). */
const SKEW_NOTICED_MS = 60_000
const SKEW_FATAL_MS = 300_000

/** @param offMs how far this machine's clock is ahead of `whose`; negative: behind */
export function clockFinding(whose: string, offMs: number): Finding {
  const size = Math.abs(offMs)
  if (size < SKEW_NOTICED_MS) return ok("clock", `agrees with ${whose}`)
  const says = `is ${duration(size)} ${offMs > 0 ? "ahead of" : "behind"} ${whose}`
  const cure = "set it by NTP (timedatectl set-ntp true): tokens expire by it"
  return size < SKEW_FATAL_MS ? warn("clock", says, cure) : fail("clock", says, cure)
}

const MIB = 1024 * 1024
/** A write-ahead log may grow to 16 MiB between checkpoints, and a VACUUM writes the database once more. */
const SPACE_SCARCE = 512 * MIB
const SPACE_GONE = 32 * MIB

export function diskFinding(folder: string, freeBytes: number): Finding {
  const says = `${size(freeBytes)} free in ${folder}`
  if (freeBytes >= SPACE_SCARCE) return ok("disk", says)
  const cure = "make room: a renewed token that cannot be written is lost with the process"
  return freeBytes >= SPACE_GONE ? warn("disk", says, cure) : fail("disk", says, cure)
}

function size(bytes: number): string {
  return bytes >= 1024 * MIB ? `${(bytes / 1024 / MIB).toFixed(1)} GiB` : `${Math.floor(bytes / MIB)} MiB`
}

/** Permission bits that let anyone but the owner in. */
const NOT_OWNER = 0o077

/** A file that holds tokens or a key. */
export function modeFinding(check: string, path: string, mode: number): Finding {
  const bits = mode & 0o777
  const shown = bits.toString(8).padStart(4, "0")
  if ((bits & NOT_OWNER) === 0) return ok(check, `${path} is its owner's alone (mode ${shown})`)
  return warn(check, `mode ${shown} lets other users read ${path}`, `chmod 600 ${path}`)
}

const STATES = ["ready", "cooling", "refreshing", "expired", "parked", "disabled", "banned"] as const
/** States that pass by themselves. */
const PASSING: readonly string[] = ["cooling", "refreshing", "expired"]

/** A provider's credentials by state; which of them wait for the operator is named. */
export function credentialFinding({ provider, counts, credentials }: List): Finding {
  const check = `credentials of ${escapeControls(provider)}`
  if (credentials.length === 0) {
    return warn(
      check,
      "there is none",
      `pollux login ${escapeControls(provider)}, or pollux import FILE, if you want to use it`,
    )
  }
  const says = STATES.filter((state) => (counts[state] ?? 0) > 0)
    .map((state) => `${counts[state]} ${state}`)
    .join(", ")
  const parked = credentials.filter(({ state }) => state === "parked")
  const waiting = parked.map(({ id, reason }) => `${showId(provider, id)} (${escapeControls(reason ?? "parked")})`)
  const cure = waiting.length > 0 ? `see to ${waiting.join(", ")}: pollux status tells how` : "pollux status tells why"
  if ((counts.ready ?? 0) > 0) return waiting.length > 0 ? warn(check, says, cure) : ok(check, says)
  const passing = PASSING.some((state) => (counts[state] ?? 0) > 0)
  return passing ? warn(check, `none is ready: ${says}`, cure) : fail(check, `none can serve: ${says}`, cure)
}

/** What in the file has outlived its use. */
export function leftoverFindings({ basic, keys }: Config, now: number): readonly Finding[] {
  const expired = keys.filter(({ expiresAt }) => expiresAt !== null && now >= expiresAt).map(({ name }) => name)
  const old = basic.previousEncryptionKeys.length
  return [
    ...(old > 0
      ? [
          warn(
            "encryption",
            `the file still holds ${old} old ${old === 1 ? "key" : "keys"}`,
            "pollux key rotate --finish, once the server runs",
          ),
        ]
      : []),
    ...(expired.length > 0
      ? [
          warn(
            "client keys",
            `expired: ${expired.join(", ")}`,
            expired.map((name) => `pollux key revoke ${name}`).join("; "),
          ),
        ]
      : []),
  ]
}

/** A URL without what may be a password in it. */
export function shownUrl(text: string): string {
  if (!URL.canParse(text)) return "an address that cannot be read"
  const url = new URL(text)
  return url.username === "" && url.password === "" ? url.origin : `${url.protocol}//***@${url.host}`
}

/** Why a connection failed, in the words of the system; never the URL, which may hold a password. */
export function failureText(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "no answer in time"
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  const known: Readonly<Record<string, string>> = {
    ConnectionRefused: "the connection is refused",
    ECONNREFUSED: "the connection is refused",
    FailedToOpenSocket: "the host cannot be found or reached",
    ENOTFOUND: "the host cannot be found",
    ECONNRESET: "the connection is cut off",
    ConnectionClosed: "the connection is cut off",
  }
  return known[code] ?? (code === "" ? "it failed" : code)
}
