/** The body of `scripts/release`, once Bun and the packages are there. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import manifest from "../../../package.json"
import { buildExecutable, revisionOf, targets } from "../../build.ts"
import { capture } from "../capture.ts"
import { type Format, formatOf } from "./format.ts"
import { isCompatible, thirdPartyLicences } from "./licences.ts"
import { productionPackages } from "./packages.ts"
import { bomOf } from "./sbom.ts"
import { tryOut } from "./try.ts"

const root = resolve(import.meta.dir, "../../..")

type Target = (typeof targets)[number]

/** What is wrong, in words for a person. */
class ReleaseError extends Error {}

async function main(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { out: { type: "string" }, "allow-dirty": { type: "boolean", default: false } },
  })
  const chosen = positionals.length === 0 ? targets : positionals.map(targetOf)
  const out = resolve(values.out ?? join(root, "dist/release"))
  const revision = revisionOf(root, undefined)
  if (!values["allow-dirty"] && (revision === "unknown" || revision.endsWith("-dirty"))) {
    throw new ReleaseError(
      `a release is made from a commit, and this tree is ${revision}; --allow-dirty is for trying it out`,
    )
  }
  const packages = productionPackages(root)
  const bad = packages.filter(({ license }) => !isCompatible(license))
  if (bad.length > 0) {
    throw new ReleaseError(
      `not compatible with AGPL-3.0: ${bad.map(({ name, license }) => `${name} (${license})`).join(", ")}`,
    )
  }

  makeRoom(out)
  for (const target of chosen) await release(target, out, revision)

  const stem = `pollux-${manifest.version}`
  const product = {
    name: manifest.name,
    version: manifest.version,
    license: manifest.license,
    description: manifest.description,
    direct: Object.keys(manifest.dependencies),
    bun: Bun.version,
    timestamp: await git(["show", "-s", "--format=%cI", "HEAD"]),
  }
  writeFileSync(join(out, `${stem}.cdx.json`), `${JSON.stringify(bomOf(product, packages), null, 2)}\n`)
  writeFileSync(join(out, `${stem}-licences.txt`), thirdPartyLicences(root, packages))
  copyFileSync(join(root, "LICENSE"), join(out, "LICENSE"))
  // AGPL-3.0, section 6: whoever gets the executable can get the source that it was made from.
  const source = join(out, `${stem}-source.tar.gz`)
  if ((await git(["archive", "--format=tar.gz", `--prefix=${stem}/`, `--output=${source}`, "HEAD"])) === null) {
    console.log("no sources: there is no git here")
  }
  await sums(out)
}

/** `linux-x64` and the like. */
function targetOf(text: string): Target {
  const known = targets.find((target) => target === `bun-${text}`)
  if (known !== undefined) return known
  const names = targets.map((target) => target.slice("bun-".length))
  throw new ReleaseError(`unknown system "${text}"; known are ${names.join(", ")}`)
}

/** Builds one executable, looks whether it is what it should be, and starts it where that is possible. */
async function release(target: Target, out: string, revision: string): Promise<void> {
  const name = target.slice("bun-".length)
  const suffix = name.startsWith("windows") ? ".exe" : ""
  const outfile = join(out, `pollux-${manifest.version}-${name}${suffix}`)
  await buildExecutable({ entry: join(root, "src/main.ts"), outfile, faults: false, target, revision })

  const head = new Uint8Array(await Bun.file(outfile).slice(0, 4096).arrayBuffer())
  const found = formatOf(head)
  const wanted = formatNamed(name)
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new ReleaseError(`${basename(outfile)} should be ${JSON.stringify(wanted)}, but is ${JSON.stringify(found)}`)
  }
  const runs = runsHere(wanted)
  if (runs) await tryOut(outfile, `${manifest.version}+${revision}`)
  const size = (Bun.file(outfile).size / 2 ** 20).toFixed(1)
  console.log(
    `${basename(outfile).padEnd(40)} ${size.padStart(6)} MiB   ${runs ? "started, served, drained" : "not for this machine"}`,
  )
}

function formatNamed(name: string): Format {
  const [system, machine, libc] = name.split("-")
  if (system !== "linux" && system !== "darwin" && system !== "windows") throw new ReleaseError(`what is ${name}?`)
  if (machine !== "x64" && machine !== "arm64") throw new ReleaseError(`what is ${name}?`)
  return { system, machine, libc: system !== "linux" ? null : libc === "musl" ? "musl" : "glibc" }
}

/** Whether this machine can start it. */
function runsHere({ system, machine, libc }: Format): boolean {
  if (system !== process.platform || machine !== process.arch) return false
  return libc === null || libc === (existsSync("/etc/alpine-release") ? "musl" : "glibc")
}

/** Empties the folder of the last release; any other one stays as it is. */
function makeRoom(out: string): void {
  if (existsSync(out)) {
    const names = readdirSync(out)
    if (names.length > 0 && !names.includes("SHA256SUMS")) {
      throw new ReleaseError(`${out} holds something else than a release: name another folder with --out`)
    }
    rmSync(out, { recursive: true })
  }
  mkdirSync(out, { recursive: true })
}

/** In the form that `sha256sum --check` reads. */
async function sums(out: string): Promise<void> {
  const lines: string[] = []
  for (const name of readdirSync(out).sort()) {
    const hasher = new Bun.CryptoHasher("sha256")
    for await (const chunk of Bun.file(join(out, name)).stream()) hasher.update(chunk)
    lines.push(`${hasher.digest("hex")}  ${name}\n`)
  }
  writeFileSync(join(out, "SHA256SUMS"), lines.join(""))
}

/** What git says, or null where it cannot. */
async function git(args: readonly string[]): Promise<string | null> {
  try {
    const { code, stdout } = await capture(["git", ...args], { cwd: root })
    return code === 0 ? stdout.trim() : null
  } catch {
    return null // no git on this machine
  }
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const reasons: readonly unknown[] =
    error instanceof AggregateError && error.errors.length > 0 ? error.errors : [error]
  for (const reason of reasons) {
    const expected = reason instanceof ReleaseError || (reason instanceof TypeError && "code" in reason)
    console.error(expected && reason instanceof Error ? `error: ${reason.message}` : Bun.inspect(reason))
  }
  process.exit(1)
}
