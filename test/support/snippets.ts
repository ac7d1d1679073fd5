/** The snippets of `pollux client`, laid down and run as a person would do it: what the documentation says is what is tested. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { capture } from "../../scripts/lib/capture.ts"
import type { Running } from "./binary.ts"
import { ensureBuilt } from "./build.ts"

const packages = resolve(import.meta.dir, "../clients/node_modules")

/** One text to paste, as `pollux client --json` prints it. */
export interface SnippetPart {
  readonly kind: "key" | "install" | "setup" | "try"
  /** Null: typed into a shell. */
  readonly file: string | null
  readonly language: string
  readonly text: string
}

/** What the executable prints for one client and this server. */
export async function snippetOf(name: string, pollux: Running): Promise<readonly SnippetPart[]> {
  const binary = await ensureBuilt()
  const args = ["client", name, "--json", "--print-key", "--server", pollux.url]
  const { code, stdout, stderr } = await capture([binary, ...args], { cwd: pollux.cwd, env: { HOME: pollux.cwd } })
  if (code !== 0) throw new Error(`pollux ${args.join(" ")} ended with code ${code}: ${stderr}`)
  return JSON.parse(stdout).parts
}

export interface LaidDown {
  /** The files' folder, with the packages of the real clients beside them. */
  readonly work: string
  readonly home: string
  /** What is typed into the shell before the client is started. */
  readonly shell: string
}

/**
 * Writes the files of the parts: those below `~` into `home`, all others into `work`; parts of one file follow each other in it.
 * @param kinds what to lay down; `try` parts for the shell are appended to `shell`
 */
export function layDown(
  parts: readonly SnippetPart[],
  folder: string,
  kinds: readonly SnippetPart["kind"][] = ["key", "setup"],
): LaidDown {
  const home = join(folder, "home")
  const work = join(folder, "work")
  for (const made of [home, work]) mkdirSync(made, { recursive: true })
  symlinkSync(packages, join(work, "node_modules"))
  const files = new Map<string, string>()
  const typed: string[] = []
  for (const { kind, file, text } of parts) {
    if (!kinds.includes(kind)) continue
    if (file === null) typed.push(text)
    else files.set(file, `${files.get(file) ?? ""}${text}\n`)
  }
  for (const [file, text] of files) {
    const path = file.startsWith("~/") ? join(home, file.slice(2)) : join(work, file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return { work, home, shell: typed.join("\n") }
}
