import { basename, dirname } from "node:path"

/** Something that must be made ready before a suite can run. */
export type Need = "executable" | "clients" | "chromium" | "curl" | "python3" | "systemd" | "promtool" | "zsh" | "fish"

/** Files that one runner process takes together. */
export interface Suite {
  readonly name: string
  readonly files: readonly string[]
  readonly kind: "unit" | "e2e" | "clients"
  readonly needs: readonly Need[]
  /** Suites that hold the same resource never run side by side. */
  readonly holds: string | null
  /** Longest time for one test, and for the whole suite, in milliseconds. */
  readonly testTimeoutMs: number
  readonly suiteTimeoutMs: number
}

/** What a file needs beyond the packages shows in its text. */
const NEEDS: readonly { readonly need: Need; readonly shows: RegExp }[] = [
  { need: "executable", shows: /\/support\/(?:binary|build|clients|snippets|world)\.ts"/ },
  { need: "clients", shows: /\/support\/(?:clients|snippets)\.ts"/ },
  { need: "chromium", shows: /from "playwright-core"/ },
  { need: "curl", shows: /^ {2}curl: \[/m },
  { need: "python3", shows: /\/support\/(?:boxed|confined|datagrams)\.ts"/ },
  { need: "systemd", shows: /\/support\/(?:systemd|confined)\.ts"/ },
  { need: "promtool", shows: /\/support\/promtool\.ts"/ },
  { need: "zsh", shows: /^ {2}async zsh\(/m },
  { need: "fish", shows: /^ {2}async fish\(/m },
]

/** Codex logins come back to fixed ports of this machine. */
const FIXED_PORTS = /\/codex\/(?:auth|login)\b|\b145[57]\b/

/**
 * Groups test files: a room's tests run in one process, since they are quick and share what they load; an end-to-end file
 * has a process of its own, since it starts servers and must not wait for, or suffer from, another.
 *
 * @param files paths relative to the project, with forward slashes
 * @param textOf a file's text
 */
export function groupSuites(files: readonly string[], textOf: (file: string) => string): readonly Suite[] {
  const groups = new Map<string, string[]>()
  for (const file of [...files].sort()) {
    const name = suiteOf(file)
    groups.set(name, [...(groups.get(name) ?? []), file])
  }
  const suites = [...groups].map(([name, grouped]) => suite(name, grouped, grouped.map(textOf).join("\n")))
  // The slow ones first, so that they do not end alone.
  return suites.sort((a, b) => Number(a.kind === "unit") - Number(b.kind === "unit"))
}

/** Rooms of which each file is a suite of its own. */
const ALONE: ReadonlySet<string> = new Set(["checks", "e2e"])

/** `test/e2e/login.test.ts` is a suite of its own, `test/providers/codex/...` the room `providers/codex`, any other room one folder; one right in `test` stands alone. */
function suiteOf(file: string): string {
  const folders = dirname(file).split("/").slice(1)
  const own = basename(file, ".test.ts")
  const [room] = folders
  if (room === undefined) return own
  if (ALONE.has(room)) return `${room}/${own}`
  return folders.slice(0, room === "providers" ? 2 : 1).join("/")
}

function suite(name: string, files: readonly string[], text: string): Suite {
  const whole = ALONE.has(name.split("/")[0] ?? "") && name.includes("/")
  const starts = whole || name === "cli"
  const needs = NEEDS.filter(({ need, shows }) => (need === "executable" && starts) || shows.test(text))
  const clients = needs.some(({ need }) => need === "clients")
  return {
    name,
    files,
    kind: clients ? "clients" : whole ? "e2e" : "unit",
    needs: needs.map(({ need }) => need),
    holds: FIXED_PORTS.test(text) ? "port 1455" : null,
    testTimeoutMs: whole ? 60_000 : 20_000,
    suiteTimeoutMs: 300_000,
  }
}
