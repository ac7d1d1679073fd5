import { basename, dirname } from "node:path"

/** Something that must be made ready before a suite can run. */
export type Need = "executable" | "clients" | "chromium" | "curl"

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

/** What end-to-end files need beyond the executable, by the start of their name. */
const EXTRAS: readonly { readonly prefix: string; readonly needs: readonly Need[]; readonly holds?: string }[] = [
  { prefix: "clients-snippets", needs: ["clients", "curl"] },
  { prefix: "clients-", needs: ["clients"] },
  // Codex logins come back to a fixed port of this machine.
  { prefix: "browser-", needs: ["chromium"], holds: "port 1455" },
  { prefix: "login-", needs: [], holds: "port 1455" },
]

/** Rooms whose tests run against the executable, each file on its own: what they share would be a machine under load. */
const ALONE: ReadonlySet<string> = new Set(["e2e", "checks"])

/**
 * Groups test files: a room's tests run in one process, since they are quick and share what they load; an end-to-end file
 * has a process of its own, since it starts servers and must not wait for, or suffer from, another.
 *
 * @param files paths relative to the project, with forward slashes
 */
export function groupSuites(files: readonly string[]): readonly Suite[] {
  const rooms = new Map<string, string[]>()
  const suites: Suite[] = []
  for (const file of [...files].sort()) {
    const [, room = ""] = file.split("/")
    if (ALONE.has(room)) suites.push(alone(file, room))
    else rooms.set(roomOf(file), [...(rooms.get(roomOf(file)) ?? []), file])
  }
  for (const [name, grouped] of rooms) {
    suites.push({
      name,
      files: grouped,
      kind: "unit",
      needs: name === "cli" ? ["executable"] : [],
      holds: name === "http" || name === "cli" ? "port 1455" : null,
      testTimeoutMs: 20_000,
      suiteTimeoutMs: 300_000,
    })
  }
  return suites
}

/** `test/providers/codex/...` is the room `providers/codex`; any other room is one folder below `test`. */
function roomOf(file: string): string {
  const folders = dirname(file).split("/").slice(1)
  return folders.slice(0, folders[0] === "providers" ? 2 : 1).join("/")
}

function alone(file: string, room: string): Suite {
  const name = basename(file, ".test.ts")
  const extra = EXTRAS.find(({ prefix }) => name.startsWith(prefix))
  return {
    name: `${room}/${name}`,
    files: [file],
    kind: extra?.needs.includes("clients") ? "clients" : "e2e",
    needs: ["executable", ...(extra?.needs ?? [])],
    holds: extra?.holds ?? null,
    testTimeoutMs: 60_000,
    suiteTimeoutMs: 300_000,
  }
}
