/** The project's own files, as git sees them, and what stands in them. */
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

export const root = resolve(import.meta.dir, "../..")

/** Tracked and new files that git does not ignore, as paths relative to the project. */
export function projectFiles(): readonly string[] {
  const ran = Bun.spawnSync(["git", "ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root })
  if (ran.exitCode !== 0) throw new Error(`git ls-files failed: ${ran.stderr.toString()}`)
  const files = ran.stdout.toString().split("\n")
  return files.filter((file) => file !== "" && existsSync(join(root, file)))
}

export function sources(folder = "src/"): readonly string[] {
  return projectFiles().filter((file) => file.startsWith(folder) && /\.(ts|mjs)$/.test(file))
}

export function read(file: string): string {
  return readFileSync(join(root, file), "utf8")
}

/** `file:line: text` of each line that matches and that `allow` does not accept. */
export function offences(
  files: readonly string[],
  pattern: RegExp,
  allow: (file: string, line: string) => boolean = () => false,
): readonly string[] {
  return files.flatMap((file) =>
    read(file)
      .split("\n")
      .flatMap((line, index) =>
        pattern.test(line) && !allow(file, line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 160)}`] : [],
      ),
  )
}

/** A line without its comment. */
export function uncommented(line: string): string {
  if (/^\s*(\*|\/\*|\/\/)/.test(line)) return ""
  return line.replace(/\s\/\/.*$/, "")
}

/** A line without its comment and without what stands in plain strings. */
export function codeOf(line: string): string {
  return uncommented(line.replace(/"(?:[^"\\]|\\.)*"|`(?:[^`\\$]|\\.)*`/g, '""'))
}
