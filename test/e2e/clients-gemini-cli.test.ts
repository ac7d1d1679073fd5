import { afterAll, beforeAll, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Captured } from "../../scripts/lib/capture.ts"
import { clientFolder, runShell } from "../support/clients.ts"
import { type LaidDown, layDown, snippetOf } from "../support/snippets.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World
let laid: LaidDown

beforeAll(async () => {
  world = await startWorld()
  laid = layDown(await snippetOf("gemini", world.pollux), clientFolder(world.pollux))
  writeFileSync(join(laid.work, "notes.txt"), "nothing of note")
  const settings = join(laid.home, ".gemini/settings.json")
  const quiet = {
    general: { disableAutoUpdate: true, disableUpdateNag: true, enableAutoUpdate: false },
    telemetry: { enabled: false },
    privacy: { usageStatisticsEnabled: false },
  }
  writeFileSync(settings, JSON.stringify({ ...JSON.parse(readFileSync(settings, "utf8")), ...quiet }))
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

function gemini(...args: string[]): Promise<Captured> {
  return runShell(laid, 'export GEMINI_CLI_TRUST_WORKSPACE=true\ngemini --model gemini-2.5-pro "$@"', args)
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
