import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { buildExecutable } from "../../scripts/build.ts"

const folder = mkdtempSync(join(tmpdir(), "pollux-build-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const entry = join(folder, "main.ts")
writeFileSync(
  entry,
  `declare const POLLUX_REVISION: string, POLLUX_FAULTS: boolean
   if (process.argv[2] === "throw") throw new Error("here")
   console.log(JSON.stringify([POLLUX_REVISION, POLLUX_FAULTS, process.env.FROM_DOTENV ?? null]))`,
)
const options = { entry, faults: false, target: null, revision: "abc" }

test("the executable stands alone, carries its revision, and two builds are the same byte for byte", async () => {
  const hashes = []
  for (const name of ["one", "two"]) {
    const outfile = join(folder, name, "pollux")
    await buildExecutable({ ...options, outfile })
    expect(readdirSync(join(folder, name))).toEqual(["pollux"])
    hashes.push(new Bun.CryptoHasher("sha256").update(await Bun.file(outfile).bytes()).digest("hex"))
  }
  expect(hashes[0]).toBe(hashes[1] ?? "")
  expect(run("one", [])).toEqual({ out: '["abc",false,null]\n', err: "" })
})

test("neither .env nor bunfig.toml of the working directory reaches it", async () => {
  writeFileSync(join(folder, ".env"), "FROM_DOTENV=yes")
  writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./nothing.ts"]')
  await buildExecutable({ ...options, outfile: join(folder, "pollux") })
  expect(run(".", [])).toEqual({ out: '["abc",false,null]\n', err: "" })
})

test("stack traces name the source file and line", async () => {
  await buildExecutable({ ...options, outfile: join(folder, "pollux") })
  expect(run(".", ["throw"]).err).toContain("main.ts:2")
})

test("a build that fails leaves the last good executable, and no litter", async () => {
  const outfile = join(folder, "kept", "pollux")
  await buildExecutable({ ...options, outfile })
  writeFileSync(join(folder, "broken.ts"), "const a = ;")
  await expect(buildExecutable({ ...options, outfile, entry: join(folder, "broken.ts") })).rejects.toThrow()
  expect(readdirSync(join(folder, "kept"))).toEqual(["pollux"])
})

function run(name: string, args: readonly string[]) {
  const ran = Bun.spawnSync([join(folder, name, "pollux"), ...args], { cwd: folder, env: {} })
  return { out: ran.stdout.toString(), err: ran.stderr.toString() }
}
