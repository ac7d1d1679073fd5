/** The packages that the executable is made of, as bun.lock pins them and as they lie in node_modules. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface Package {
  readonly name: string
  readonly version: string
  /** SHA-512 of its archive, in base64. */
  readonly sha512: string
  /** Where it lies, relative to the project. */
  readonly folder: string
  /** SPDX licence expression, or an empty text where the package names none. */
  readonly license: string
  readonly author: string | null
  /** Install scripts that it would run if it were let. */
  readonly scripts: readonly string[]
  /** `name@version` of those that it needs, sorted. */
  readonly needs: readonly string[]
}

/** What is pinned. */
export interface Lock {
  /** Names that package.json lists as dependencies. */
  readonly direct: readonly string[]
  /** By place: `name`, or `name/other` where `other` lies inside `name`. */
  readonly entries: ReadonlyMap<string, LockEntry>
}

export interface LockEntry {
  /** `name@version`; anything but a plain version means another source than the registry. */
  readonly spec: string
  readonly dependencies: readonly string[]
  /** Needed only where they can be had; those that this lock leaves out are not in it. */
  readonly optional: readonly string[]
  readonly sha512: string | null
}

const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall"]

/** @throws Error for a lock file of another form */
export function parseLock(text: string): Lock {
  const lock = record(Bun.JSONC.parse(text), "bun.lock")
  const workspace = record(record(lock.workspaces, "workspaces")[""], "the workspace")
  const entries = new Map<string, LockEntry>()
  for (const [place, value] of Object.entries(record(lock.packages, "packages"))) {
    if (!Array.isArray(value)) throw new Error(`bun.lock: ${place} is no list`)
    const [spec, , about, integrity]: readonly unknown[] = value
    if (typeof spec !== "string") throw new Error(`bun.lock: ${place} has no version`)
    const { dependencies, optionalDependencies, peerDependencies, optionalPeers } = record(about ?? {}, place)
    const free = Array.isArray(optionalPeers) ? optionalPeers : []
    const peers = Object.keys(record(peerDependencies ?? {}, place)).filter((name) => !free.includes(name))
    entries.set(place, {
      spec,
      dependencies: [...Object.keys(record(dependencies ?? {}, place)), ...peers],
      optional: Object.keys(record(optionalDependencies ?? {}, place)),
      sha512: typeof integrity === "string" && integrity.startsWith("sha512-") ? integrity.slice(7) : null,
    })
  }
  return { direct: Object.keys(record(workspace.dependencies, "dependencies")), entries }
}

/** Places of all that the direct dependencies need, in alphabetical order. @throws Error where one is not in the lock */
export function productionPlaces({ direct, entries }: Lock): readonly string[] {
  const found = new Set<string>()
  const visit = (name: string, from: string, optional = false) => {
    const place = placeOf(entries, name, from)
    if (place === null && optional) return
    if (place === null) throw new Error(`bun.lock: ${name}, which ${from || "the project"} needs, is not in it`)
    if (found.has(place)) return
    found.add(place)
    for (const dependency of entries.get(place)?.dependencies ?? []) visit(dependency, place)
    for (const dependency of entries.get(place)?.optional ?? []) visit(dependency, place, true)
  }
  for (const name of direct) visit(name, "")
  return [...found].sort()
}

/** The innermost place that provides `name` to the package at `from`. */
function placeOf(entries: Lock["entries"], name: string, from: string): string | null {
  const parts = from === "" ? [] : (from.match(/@[^/]+\/[^/]+|[^/]+/g) ?? [])
  for (let depth = parts.length; depth >= 0; depth--) {
    const place = [...parts.slice(0, depth), name].join("/")
    if (entries.has(place)) return place
  }
  return null
}

/** The production packages with what they say of themselves. @param root the project, with its packages installed */
export function productionPackages(root: string): readonly Package[] {
  const lock = parseLock(readFileSync(join(root, "bun.lock"), "utf8"))
  return productionPlaces(lock).map((place) => {
    const entry = lock.entries.get(place)
    const parts = place.match(/@[^/]+\/[^/]+|[^/]+/g) ?? []
    const folder = parts.map((part) => `node_modules/${part}`).join("/")
    const { name, version } = nameAndVersion(entry?.spec ?? "")
    if (entry?.sha512 == null) throw new Error(`bun.lock: ${place} has no SHA-512`)
    const manifest = record(
      JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8")),
      `${folder}/package.json`,
    )
    if (manifest.version !== version) {
      throw new Error(
        `${folder} is version ${String(manifest.version)}, bun.lock says ${version}: run bun install --frozen-lockfile`,
      )
    }
    const needs = [...entry.dependencies, ...entry.optional].flatMap((dependency) => {
      const at = placeOf(lock.entries, dependency, place)
      return at === null ? [] : [lock.entries.get(at)?.spec ?? dependency]
    })
    return {
      name,
      version,
      folder,
      sha512: entry.sha512,
      license: typeof manifest.license === "string" ? manifest.license : "",
      author: authorOf(manifest.author),
      scripts: Object.keys(record(manifest.scripts ?? {}, folder)).filter((script) => INSTALL_SCRIPTS.includes(script)),
      needs: needs.sort(),
    }
  })
}

export function nameAndVersion(spec: string): { readonly name: string; readonly version: string } {
  const cut = spec.lastIndexOf("@")
  return { name: spec.slice(0, cut), version: spec.slice(cut + 1) }
}

function authorOf(value: unknown): string | null {
  if (typeof value === "string") return value
  if (typeof value !== "object" || value === null || !("name" in value)) return null
  return typeof value.name === "string" ? value.name : null
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${what} is no table`)
  return { ...value }
}
