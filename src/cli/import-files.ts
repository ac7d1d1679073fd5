/** Reads what is to be imported: files, directories of files, standard input. */
import { closeSync, openSync, readdirSync, readSync, realpathSync, type Stats, statSync } from "node:fs"
import { join, resolve, sep } from "node:path"
import type { Io } from "./command.ts"

/** Largest file that is read, in bytes: some ten thousand logins. */
const LARGEST = 64 * 1024 * 1024

/** Names of the files in a directory that may hold logins. */
const LIKELY = /\.(?:json|jsonl|ndjson|txt)$/i

/** Bits of a mode that let others in. */
const OTHERS = 0o077

export interface Source {
  /** As it was named. */
  readonly name: string
  readonly text: string
  /** Named by the operator, not found in a directory: then what it does not hold is a fault. */
  readonly named: boolean
  /** Permission bits when they let others read it, else null. */
  readonly open: number | null
}

export interface Unread {
  readonly name: string
  readonly why: string
  readonly named: boolean
}

export interface Sources {
  readonly read: readonly Source[]
  readonly unread: readonly Unread[]
}

/** @param paths files and directories; `-` is standard input */
export async function readSources(paths: readonly string[], io: Pick<Io, "cwd" | "readInput">): Promise<Sources> {
  const read: Source[] = []
  const unread: Unread[] = []
  for (const path of paths) {
    if (path === "-") {
      read.push({ name: "standard input", text: await io.readInput(), named: true, open: null })
      continue
    }
    const full = resolve(io.cwd, path)
    try {
      const stats = statSync(full)
      if (stats.isDirectory()) readDirectory(path, full, read, unread)
      else if (stats.isFile() || stats.isFIFO()) read.push(source(path, full, stats, true))
      else unread.push({ name: path, why: "it is neither a file nor a directory", named: true })
    } catch (error) {
      unread.push({ name: path, why: reasonOf(error), named: true })
    }
  }
  return { read, unread }
}

/** The likely files right in a directory. A link is followed only as long as it stays inside. */
function readDirectory(path: string, full: string, read: Source[], unread: Unread[]): void {
  const inside = `${realpathSync(full)}${sep}`
  const names = readdirSync(full).filter((name) => LIKELY.test(name))
  if (names.length === 0) unread.push({ name: path, why: "no .json, .jsonl or .txt file is in it", named: true })
  for (const file of names.toSorted()) {
    const name = join(path, file)
    try {
      const target = realpathSync(join(full, file))
      if (!target.startsWith(inside)) {
        unread.push({ name, why: "it is a link that leads out of the directory; name it to import it", named: false })
        continue
      }
      const stats = statSync(target)
      if (stats.isFile()) read.push(source(name, target, stats, false))
    } catch (error) {
      unread.push({ name, why: reasonOf(error), named: false })
    }
  }
}

function source(name: string, path: string, stats: Stats, named: boolean): Source {
  const open = process.platform !== "win32" && stats.isFile() && (stats.mode & OTHERS) !== 0
  return { name, text: readText(path), named, open: open ? stats.mode & 0o777 : null }
}

/** Reads to the end, whatever the size is said to be. */
function readText(path: string): string {
  const file = openSync(path, "r")
  try {
    const chunks: Buffer[] = []
    let size = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(256 * 1024)
      const count = readSync(file, chunk)
      if (count === 0) break
      size += count
      if (size > LARGEST) throw new TooLarge()
      chunks.push(chunk.subarray(0, count))
    }
    return Buffer.concat(chunks).toString("utf8")
  } finally {
    closeSync(file)
  }
}

class TooLarge extends Error {}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "it does not exist",
  EACCES: "this user may not read it",
  ENOTDIR: "a part of its path is no directory",
  ELOOP: "its links go in a circle",
}

function reasonOf(error: unknown): string {
  if (error instanceof TooLarge) return `it is larger than ${LARGEST / 1024 / 1024} MiB`
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  return REASONS[code] ?? `it cannot be read (${code === "" ? String(error) : code})`
}
