import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Captured } from "../../scripts/lib/capture.ts"
import { runCli } from "../support/clients.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
let home: string
let work: string

beforeAll(async () => {
  world = await startWorld()
  home = join(world.pollux.cwd, "gemini-home")
  work = join(world.pollux.cwd, "gemini-work")
  mkdirSync(join(home, ".gemini"), { recursive: true })
  mkdirSync(work)
  writeFileSync(join(work, "notes.txt"), "nothing of note")
  writeFileSync(
    join(home, ".gemini/settings.json"),
    JSON.stringify({
      security: { auth: { selectedType: "gemini-api-key" } },
      general: { disableAutoUpdate: true, disableUpdateNag: true, enableAutoUpdate: false },
      telemetry: { enabled: false },
      privacy: { usageStatisticsEnabled: false },
    }),
  )
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

function gemini(...args: string[]): Promise<Captured> {
  const env = {
    GOOGLE_GEMINI_BASE_URL: `${world.pollux.url}/geminicli`,
    GEMINI_API_KEY: world.pollux.key,
    GEMINI_CLI_TRUST_WORKSPACE: "true",
  }
  return runCli("gemini", ["--model", "gemini-2.5-pro", ...args], { cwd: work, home, env })
}

test("gemini -p calls a tool of its own, sends the result back, and prints the answer", async () => {
  const ran = await gemini("--prompt", "What is in this folder?")
  expect({ code: ran.code, stderr: ran.code === 0 ? "" : ran.stderr }).toEqual({ code: 0, stderr: "" })
  expect(ran.stdout).toContain("The function answered")
  const turns = world.google.seen("streamGenerateContent")
  expect(turns.length).toBeGreaterThanOrEqual(2)
  expect(turns.filter(({ status }) => status !== 200)).toEqual([])
  expect(turns.at(-1)?.body).toContain("functionResponse")
})

test("its thoughts, signatures and tool declarations reach the upstream untouched", () => {
  const [first, second] = world.google.seen("streamGenerateContent")
  expect(first?.body).toContain("parametersJsonSchema")
  expect(first?.body).toContain("includeThoughts")
  expect(second?.body).toContain("thoughtSignature")
})
