/** `scripts/docs`: writes the generated parts of README.md, or says with --check whether they are up to date. */
import { readFileSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { withParts } from "./docs/markers.ts"
import { readmeParts } from "./docs/parts.ts"

const path = resolve(import.meta.dir, "../../README.md")
const [argument, ...more] = process.argv.slice(2)
if (more.length > 0 || (argument !== undefined && argument !== "--check")) {
  console.error("usage: scripts/docs [--check]")
  process.exit(64)
}

const before = readFileSync(path, "utf8")
const after = withParts(before, await readmeParts())
if (after === before) console.log("README.md is up to date.")
else if (argument === "--check") {
  console.error("README.md is out of date: run scripts/docs")
  process.exit(1)
} else {
  writeFileSync(path, after)
  console.log("README.md is brought up to date.")
}
process.exit(0)
