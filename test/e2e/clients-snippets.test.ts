/** Every snippet of `pollux client`, pasted as it stands, setup and first request. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { clientFolder, runShell } from "../support/clients.ts"
import { layDown, snippetOf } from "../support/snippets.ts"
import { startWorld, type World } from "../support/world.ts"

const OPENAI = "You said: Say hello."
const GEMINI = 'Hello from gemini-2.5-pro. You said: "Say hello."'

/** What the first requests of a snippet print. */
const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  codex: [OPENAI],
  // Offered tools, the fake model calls one before it answers.
  gemini: ["The function answered"],
  "openai-sdk": [OPENAI],
  "genai-sdk": [GEMINI],
  "ai-sdk": [OPENAI, GEMINI],
  langchain: [OPENAI, GEMINI],
  curl: [OPENAI, GEMINI.replaceAll('"', '\\"')],
}

let world: World

beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

for (const [name, answers] of Object.entries(ANSWERS)) {
  test(`the snippet for ${name} works when it is pasted`, async () => {
    const parts = await snippetOf(name, world.pollux)
    const laid = layDown(parts, clientFolder(world.pollux), ["key", "setup", "try"])
    const module = parts.find(({ language }) => language === "javascript")?.file
    const trust = "export GEMINI_CLI_TRUST_WORKSPACE=true"
    const start = module == null ? "" : `node ${join(laid.work, module)}`
    const ran = await runShell({ ...laid, shell: `set -e\n${trust}\n${laid.shell}` }, start)
    expect({ code: ran.code, output: ran.code === 0 ? "" : ran.output }).toEqual({ code: 0, output: "" })
    for (const answer of answers) expect(ran.stdout).toContain(answer)
  })
}

test("the packages that the snippets install are those that are tested", async () => {
  const tested = Object.keys((await Bun.file(join(import.meta.dir, "../clients/package.json")).json()).dependencies)
  for (const name of Object.keys(ANSWERS)) {
    const parts = await snippetOf(name, world.pollux)
    const wanted = parts.filter(({ kind }) => kind === "install").flatMap(({ text }) => text.split(" ").slice(2))
    expect(tested).toEqual(expect.arrayContaining(wanted))
  }
})
