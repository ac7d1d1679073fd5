/** `scripts/lib/bun.sh` on machines that have, or lack, a Bun and npm; the registry is played by a script named npm. */
import { afterAll, expect, test } from "bun:test"
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const project = resolve(import.meta.dir, "../..")
const TOOLS = ["sh", "sed", "head", "mktemp", "mkdir", "rm", "mv", "ln", "dirname", "uname", "cat", "chmod"]
const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A machine with a clone of the project that pins Bun 9.9.9, and nothing but the shell's tools on PATH. */
function machine() {
  const root = mkdtempSync(join(tmpdir(), "pollux-machine-"))
  folders.push(root)
  const bin = join(root, "bin")
  const clone = join(root, "a clone")
  mkdirSync(bin)
  for (const tool of TOOLS) symlinkSync(Bun.which(tool) ?? tool, join(bin, tool))
  cpSync(join(project, "scripts/lib/bun.sh"), join(clone, "scripts/lib/bun.sh"), { recursive: true })
  writeFileSync(join(clone, "package.json"), '{\n  "packageManager": "bun@9.9.9",\n  "name": "x"\n}\n')
  return {
    clone,
    program: (name: string, body: string) => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`)
      chmodSync(join(bin, name), 0o755)
    },
    getBun: (env: Readonly<Record<string, string>> = {}) => {
      const script = `set -eu; root=$1; . "$root/scripts/lib/bun.sh"; get_bun || exit 3; echo "$bun"; bun --version`
      const ran = Bun.spawnSync(["sh", "-c", script, "sh", clone], { env: { PATH: bin, ...env }, stdin: "ignore" })
      return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() }
    },
  }
}

/** What `npm install --prefix DIR ... bun@VERSION` leaves: the stub, and one package per platform that npm thinks fits. */
const NPM = `
[ "$1" = install ] && [ "$2" = --prefix ] || { echo "unexpected: $*" >&2; exit 9; }
case " $* " in *" --ignore-scripts "*) ;; *) exit 9 ;; esac
for platform in linux-x64 linux-x64-musl; do
  mkdir -p "$3/node_modules/@oven/bun-$platform/bin"
  file="$3/node_modules/@oven/bun-$platform/bin/bun"
  if [ $platform = linux-x64 ]; then echo '#!/nowhere/ld' >"$file"; else printf '#!/bin/sh\\necho 9.9.9\\n' >"$file"; fi
  chmod 755 "$file"
done`

test("the pinned Bun on PATH is taken as it is", () => {
  const box = machine()
  box.program("bun", "echo 9.9.9")
  expect(box.getBun({ HOME: box.clone })).toMatchObject({
    code: 0,
    out: expect.stringContaining("/bin/bun\n9.9.9\n"),
    err: "",
  })
  expect(existsSync(join(box.clone, ".tmp"))).toBe(false)
})

test("another version on PATH is passed over, the one that runs is kept and found again", () => {
  const box = machine()
  box.program("bun", "echo 1.0.0")
  box.program("npm", NPM)
  const kept = join(box.clone, ".tmp/bun/9.9.9/bin/bun")
  expect(box.getBun()).toEqual({
    code: 0,
    out: `${kept}\n9.9.9\n`,
    err: "Getting Bun 9.9.9 from the npm registry ...\n",
  })
  box.program("npm", "exit 1")
  expect(box.getBun()).toEqual({ code: 0, out: `${kept}\n9.9.9\n`, err: "" })
})

test("without npm it says what is missing", () => {
  const { code, err } = machine().getBun()
  expect(code).toBe(3)
  expect(err).toContain("npm")
  expect(err).toContain("9.9.9")
})

test("what npm complains about is shown, and nothing is left behind", () => {
  const box = machine()
  box.program("npm", "echo 'npm error ETARGET' >&2; exit 1")
  const { code, err } = box.getBun()
  expect(code).toBe(3)
  expect(err).toContain("  npm error ETARGET")
  expect([...new Bun.Glob("*").scanSync({ cwd: join(box.clone, ".tmp/bun"), onlyFiles: false })]).toEqual([])
})

test("a platform for which npm has no program that runs is named", () => {
  const box = machine()
  box.program("npm", NPM.replace("echo 9.9.9", "echo 1.0.0"))
  const { code, err } = box.getBun()
  expect(code).toBe(3)
  expect(err).toContain("runs on this machine")
})
