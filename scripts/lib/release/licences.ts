/** Which licences may be in an executable under AGPL-3.0, and the texts that must go with it. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Package } from "./packages.ts"

/**
 * Licences whose works may be part of one under AGPL-3.0: permissive ones, which ask for no more than that their notices are kept
 * (AGPL-3.0, section 7 b, allows to ask for that).
 */
export const COMPATIBLE: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0", // its patent terms stand beside version 3 of the GNU licences, not beside version 2
  "BlueOak-1.0.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "Unlicense",
  "Zlib",
])

/** Whether an SPDX expression leaves a choice that is compatible; AND needs all its parts. */
export function isCompatible(expression: string): boolean {
  const bare = expression.replace(/[()]/g, "").trim()
  if (bare === "") return false
  return bare.split(/\s+OR\s+/).some((choice) => choice.split(/\s+AND\s+/).every((id) => COMPATIBLE.has(id.trim())))
}

const FILE = /^(licen[cs]e|copying|notice)(?:[.-].*)?$/i

/** The texts that a package brings along, joined; null where it brings none. */
export function licenceText(root: string, { folder }: Package): string | null {
  const files = readdirSync(join(root, folder)).filter((name) => FILE.test(name))
  const texts = files.sort().map((name) => readFileSync(join(root, folder, name), "utf8").trim())
  return texts.length === 0 ? null : texts.join("\n\n")
}

/**
 * Everything that must be handed on with the executable.
 * @throws Error naming a package for which no text is known
 */
export function thirdPartyLicences(root: string, packages: readonly Package[]): string {
  const apache = packages
    .filter(({ license }) => license === "Apache-2.0")
    .map((one) => licenceText(root, one))
    .find((text) => text?.includes("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION"))
  const parts = packages.map((one) => {
    const text = licenceText(root, one) ?? standardText(one, apache ?? null)
    if (text === null)
      throw new Error(
        `${one.name} has no licence file, and the text of ${one.license || "its licence"} is not known here`,
      )
    return section(`${one.name} ${one.version} (${one.license})`, text)
  })
  return [
    "Pollux is under the GNU Affero General Public License, version 3 (see LICENSE). Its executable contains what follows.",
    ...parts,
    section(`Bun ${Bun.version}, the runtime`, runtimeText(root)),
  ].join("\n")
}

/** For packages that only name their licence: its standard text. */
function standardText({ license, author }: Package, apache: string | null): string | null {
  if (license === "Apache-2.0") return apache
  if (license === "MIT") return MIT.replace("HOLDER", author ?? "the authors")
  return null
}

/** What Bun says of itself and of what is linked into it. */
function runtimeText(root: string): string {
  const text = readFileSync(join(root, "node_modules/bun-types/docs/project/license.mdx"), "utf8")
  return text.replace(/^---\n[\s\S]*?\n---\n/, "").trim()
}

function section(title: string, text: string): string {
  return `\n${"=".repeat(100)}\n${title}\n${"=".repeat(100)}\n\n${text}\n`
}

const MIT = `MIT License

Copyright (c) HOLDER

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`
