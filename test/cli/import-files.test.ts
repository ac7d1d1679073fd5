import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readSources } from "../../src/cli/import-files.ts"
import { hashOf, planImport } from "../../src/cli/import-plan.ts"

const OPENAI = "rt_fake-openai-refresh-token"
const GOOGLE = "1//0fake-google-refresh-token"
const home = mkdtempSync(join(tmpdir(), "pollux-import-"))
const io = { cwd: home, readInput: async () => `${GOOGLE}\n` }

const write = (name: string, value: unknown, mode = 0o600) => {
  writeFileSync(join(home, name), typeof value === "string" ? value : JSON.stringify(value))
  chmodSync(join(home, name), mode)
}

beforeAll(() => {
  mkdirSync(join(home, "auth"))
  write("auth/a.json", { refresh_token: OPENAI })
  write("auth/b.json", { theme: "dark" })
  write("auth/c.json", "{\n damaged")
  write("auth/notes.md", OPENAI)
  write("outside.json", { refresh_token: `${OPENAI}2` })
  symlinkSync("a.json", join(home, "auth", "inside.json"))
  symlinkSync("../outside.json", join(home, "auth", "leads-out.json"))
  symlinkSync("circle.json", join(home, "auth", "circle.json"))
  symlinkSync("outside.json", join(home, "link.json"))
  write("open.json", { refresh_token: OPENAI }, 0o644)
  write("huge.json", "x")
  truncateSync(join(home, "huge.json"), 65 * 1024 * 1024)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

const plan = async (...paths: readonly string[]) => planImport(await readSources(paths, io), null)

describe("a directory", () => {
  test("gives the likely files right in it, in order, and says what it left out", async () => {
    const { items, skipped, unrelated } = await plan("auth")
    expect(items.map(({ source }) => source)).toEqual(["auth/a.json"])
    expect(skipped).toEqual([
      { source: "auth/circle.json", why: "its links go in a circle", fault: false },
      {
        source: "auth/leads-out.json",
        why: "it is a link that leads out of the directory; name it to import it",
        fault: false,
      },
      { source: "auth/c.json", why: "it is damaged JSON", fault: false },
      { source: "auth/inside.json", why: "the same token as auth/a.json", fault: false },
    ])
    expect(unrelated).toBe(1)
  })
})

describe("a file that is named", () => {
  test("is read through a link", async () => {
    expect((await plan("link.json")).items).toMatchObject([{ source: "link.json", token: `${OPENAI}2` }])
  })
  test("is missed when it is not there", async () => {
    expect((await plan("none.json", "auth/a.json/x")).skipped).toEqual([
      { source: "none.json", why: "it does not exist", fault: true },
      { source: "auth/a.json/x", why: "a part of its path is no directory", fault: true },
    ])
  })
  test("is refused beyond 64 MiB, and when it is no file", async () => {
    expect((await plan("huge.json", "/dev/zero")).skipped).toEqual([
      { source: "huge.json", why: "it is larger than 64 MiB", fault: true },
      { source: "/dev/zero", why: "it is neither a file nor a directory", fault: true },
    ])
  })
  test("is warned about when others may read it", async () => {
    expect((await plan("open.json")).exposed).toEqual([{ name: "open.json", mode: 0o644 }])
    expect((await plan("auth/a.json")).exposed).toEqual([])
  })
})

test("standard input is a source like any other", async () => {
  expect((await plan("-")).items).toMatchObject([{ source: "standard input", provider: "geminicli", token: GOOGLE }])
})

test("a token that stands twice is handed over once, and told apart by its hash", async () => {
  const { items, skipped } = await plan("auth/a.json", "open.json")
  expect(items).toHaveLength(1)
  expect(items[0]?.hash).toBe(hashOf(OPENAI))
  expect(skipped).toEqual([{ source: "open.json", why: "the same token as auth/a.json", fault: false }])
  expect(hashOf(OPENAI)).toMatch(/^[0-9a-f]{8}$/)
})
