import { isIP } from "node:net"
import { TomlDate } from "smol-toml"
import { isLoopback, isNetwork, withoutBrackets } from "./address.ts"
import type { Path } from "./positions.ts"

/** What is wrong with a value; `at` leads from the value to the part of it that is meant. */
export interface Wrong {
  readonly at: Path
  readonly expected: string
  readonly got: string
}

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly wrong: readonly Wrong[] }

/** A kind of value: how it is named to people, and how it is read from what TOML holds. */
export interface Kind<T> {
  /** For documentation, e.g. "integer, 0 to 10". */
  readonly type: string
  read(value: unknown): Read<T>
}

const LONGEST_SHOWN = 60

/** A value as a problem shows it. A secret one, or one that may hold a password, is described and never shown. */
export function describe(value: unknown, secret = false): string {
  if (value === undefined) return "nothing"
  if (typeof value === "string") {
    if (value === "") return "an empty string"
    if (secret || value.includes("@")) return `a string of ${value.length} character${value.length === 1 ? "" : "s"}`
    return JSON.stringify(value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}...` : value)
  }
  if (typeof value === "number" || typeof value === "bigint") return secret ? "a number" : String(value)
  if (typeof value === "boolean") return String(value)
  if (value instanceof Date) return "a date"
  return Array.isArray(value) ? "an array" : "a table"
}

const right = <T>(value: T): Read<T> => ({ ok: true, value })

function wrong(expected: string, got: string): Read<never> {
  return { ok: false, wrong: [{ at: [], expected, got }] }
}

export const flag: Kind<boolean> = {
  type: "true or false",
  read: (value) => (typeof value === "boolean" ? right(value) : wrong("true or false", describe(value))),
}

export function integer(min: number, max: number): Kind<number> {
  const type = `integer, ${min} to ${max}`
  return {
    type,
    read: (value) =>
      typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
        ? right(value)
        : wrong(`an integer from ${min} to ${max}`, describe(value)),
  }
}

/** A number of seconds, fractions allowed, read as whole milliseconds. */
export function seconds(min: number, max: number): Kind<number> {
  return {
    type: `number, ${min} to ${max}`,
    read: (value) =>
      typeof value === "number" && value >= min && value <= max
        ? right(Math.round(value * 1000))
        : wrong(`a number of seconds from ${min} to ${max}`, describe(value)),
  }
}

/** One of a few words, in any letter case. */
export function oneOf<T extends string>(words: readonly T[], nearest: (given: string) => string | null): Kind<T> {
  const type = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`
  return {
    type,
    read(value) {
      const found = typeof value === "string" ? words.find((word) => word === value.toLowerCase()) : undefined
      if (found !== undefined) return right(found)
      const meant = typeof value === "string" ? nearest(value) : null
      return wrong(type, meant === null ? describe(value) : `${describe(value)} (did you mean "${meant}"?)`)
    },
  }
}

/** A string that matches `pattern`, which `expected` puts into words. */
export function matching(type: string, expected: string, pattern: RegExp, secret = false): Kind<string> {
  return {
    type,
    read: (value) =>
      typeof value === "string" && pattern.test(value) ? right(value) : wrong(expected, describe(value, secret)),
  }
}

/** An array of strings of one kind, doubles removed, order kept. */
export function listOf(type: string, item: Kind<string>, secret = false): Kind<readonly string[]> {
  return {
    type,
    read(value) {
      if (!Array.isArray(value)) return wrong(type, describe(value, secret))
      const values = new Set<string>()
      const faults: Wrong[] = []
      for (const [index, entry] of value.entries()) {
        const read = item.read(entry)
        if (read.ok) values.add(read.value)
        else faults.push(...read.wrong.map((fault) => ({ ...fault, at: [index, ...fault.at] })))
      }
      return faults.length === 0 ? right([...values]) : { ok: false, wrong: faults }
    },
  }
}

export const address: Kind<string> = {
  type: "IP address or localhost",
  read(value) {
    const expected = 'an IP address such as "127.0.0.1" or "::", without a port or zone'
    if (typeof value !== "string") return wrong(expected, describe(value))
    const bare = withoutBrackets(value.trim())
    const known = isIP(bare) !== 0 || bare === "localhost"
    // Node takes fe80::1%eth0 for an address; a URL (RFC 3986 3.2.2) has no place for the zone.
    return known && !bare.includes("%") ? right(bare) : wrong(expected, describe(value))
  },
}

export const network: Kind<string> = {
  type: "IP address or CIDR range",
  read: (value) =>
    typeof value === "string" && isNetwork(value)
      ? right(value)
      : wrong('an IP address or a CIDR range such as "10.0.0.0/8"', describe(value)),
}

/** `sqlite://path`, read as the path. */
export const database: Kind<string> = {
  type: "sqlite://path",
  read(value) {
    const expected = 'a file as "sqlite://path", without parameters'
    if (typeof value !== "string") return wrong(expected, describe(value))
    const path = value.startsWith("sqlite://") ? value.slice("sqlite://".length) : ""
    if (path === ":memory:") {
      return wrong('a file as "sqlite://path" (memory would lose every refresh token at exit)', describe(value))
    }
    return path === "" || path.endsWith("/") || /[?\0]/.test(path) ? wrong(expected, describe(value)) : right(path)
  },
}

/** A key that clients send in a header: a string, or a number for which the same digits count. */
export const key: Kind<string> = {
  type: "string or number",
  read(value) {
    const expected = "a non-empty string or number"
    if ((typeof value === "number" && Number.isFinite(value)) || typeof value === "bigint") return right(String(value))
    if (typeof value !== "string") return wrong(expected, describe(value, true))
    if (value.trim() === "") return wrong(expected, value === "" ? "an empty string" : "a string of blanks")
    // RFC 9110 5.5: a field value has no control characters, and loses blanks at its ends.
    if (/[\x00-\x1f\x7f]/.test(value) || value.trim() !== value) {
      return wrong("a key without control characters and without blanks at its ends", describe(value, true))
    }
    return right(value)
  },
}

/** 32 bytes in hex or base64 (also the URL-safe alphabet), read as 64 lower-case hex digits. */
export const encryptionKey: Kind<string> = {
  type: "32 bytes in hex or base64",
  read(value) {
    if (typeof value === "string") {
      if (/^[0-9a-f]{64}$/i.test(value)) return right(value.toLowerCase())
      if (/^[\w+/-]{43}=?$/.test(value)) return right(Buffer.from(value, "base64").toString("hex"))
    }
    return wrong(
      "32 random bytes as 64 hex digits or as base64 (make them with: openssl rand -hex 32)",
      describe(value, true),
    )
  },
}

function urlOf(value: string): URL | null {
  return URL.canParse(value) ? new URL(value) : null
}

/** A base URL, read without trailing slashes. Plain http only to this machine, for tests and the demo. */
export const upstream: Kind<string> = {
  type: "https URL",
  read(value) {
    const expected = "an https:// URL (http:// only to this machine)"
    if (typeof value !== "string") return wrong(expected, describe(value))
    const url = urlOf(value)
    if (url === null) return wrong(expected, describe(value))
    if (url.username !== "" || url.password !== "")
      return wrong("a URL without user name and password", "one with them")
    if (url.search !== "" || url.hash !== "") return wrong("a URL without ? and #", describe(value))
    if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
      return wrong(expected, describe(value))
    }
    return right(url.href.replace(/\/+$/, ""))
  },
}

/** An HTTP proxy, or the empty string for none (which overrides `providers.defaults.proxy`). May hold a password: never shown. */
export const proxy: Kind<string | null> = {
  type: "http:// or https:// URL",
  read(value) {
    const expected = 'a proxy as "http://host:port" or "https://host:port"'
    if (value === "") return right(null)
    if (typeof value !== "string") return wrong(expected, describe(value, true))
    const url = urlOf(value)
    if (url?.protocol.startsWith("socks")) {
      return wrong(
        `${expected} (socks is not supported; most socks servers have an http port too, or put a converter such as Privoxy in front)`,
        `a ${url.protocol}// URL`,
      )
    }
    if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
      return wrong(expected, describe(value, true))
    }
    if ((url.pathname !== "/" && url.pathname !== "") || url.search !== "" || url.hash !== "") {
      return wrong(`${expected}, without a path`, "a URL with more after the port")
    }
    return right(url.href.replace(/\/+$/, ""))
  },
}

/** A moment, as a TOML offset date-time or an RFC 3339 string, read as milliseconds since the Unix epoch. */
export const moment: Kind<number> = {
  type: "date and time with offset",
  read(value) {
    const expected = "a date and time with offset such as 2027-01-31T00:00:00Z"
    if (value instanceof TomlDate) {
      return value.isDateTime() && !value.isLocal() ? right(value.getTime()) : wrong(expected, "one without an offset")
    }
    if (typeof value !== "string") return wrong(expected, describe(value))
    const rfc3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/
    const [, year, month, day] = rfc3339.exec(value) ?? []
    // Date takes the 30th of February for the 2nd of March.
    const real = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day)
    const at = real ? Date.parse(value.replace(" ", "T").toUpperCase()) : Number.NaN
    return Number.isNaN(at) ? wrong(expected, describe(value)) : right(at)
  },
}
