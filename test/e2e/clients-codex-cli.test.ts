import { afterAll, beforeAll, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Captured } from "../../scripts/lib/capture.ts"
import { clientFolder, runShell } from "../support/clients.ts"
import { type LaidDown, layDown, snippetOf } from "../support/snippets.ts"
import { startWorld, type World } from "../support/world.ts"

const PROMPT = "Tell me something short."

let world: World
let laid: LaidDown

beforeAll(async () => {
  world = await startWorld()
  laid = layDown(await snippetOf("codex", world.pollux), clientFolder(world.pollux))
  const config = join(laid.home, ".codex/config.toml")
  const quiet = "check_for_update_on_startup = false"
  writeFileSync(config, `${quiet}\n${readFileSync(config, "utf8")}\n[analytics]\nenabled = false\n`)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

/** The test's folder is the sandbox: the commands that are run in it are scripted below. */
function codex(...args: string[]): Promise<Captured> {
  const flags = "exec --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox --json"
  return runShell(laid, `codex ${flags} "$@"`, args)
}

function messages({ stdout }: Captured): readonly string[] {
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .flatMap(({ type, item }) => (type === "item.completed" && item.type === "agent_message" ? [item.text] : []))
}

test("codex exec gets its answer through Pollux", async () => {
  const ran = await codex(PROMPT)
  expect({ code: ran.code, messages: messages(ran), output: ran.code === 0 ? "" : ran.output }).toEqual({
    code: 0,
    messages: [`You said: ${PROMPT}`],
    output: "",
  })
})

test("it runs a command that the model asks for, and sends its output back", async () => {
  world.openai.reply((request) => {
    const input: readonly { readonly type?: string }[] = Array.isArray(request.input) ? request.input : []
    if (input.at(-1)?.type === "function_call_output") return null
    return { calls: [shellCall(request.tools, "echo pollux-$((40+2)) > made.txt; cat made.txt")] }
  })
  const ran = await codex("Make a file.")
  world.openai.reply(null)
  expect(ran.code).toBe(0)
  expect(readFileSync(join(laid.work, "made.txt"), "utf8").trim()).toBe("pollux-42")
  expect(messages(ran).join("\n")).toContain("pollux-42")
})

test("a session that is resumed goes on with what was said", async () => {
  const ran = await codex("resume", "--last", "And once more.")
  expect(messages(ran)).toEqual(["You said: And once more."])
  const last = world.openai.requestsTo("/responses").at(-1)
  expect(last?.body).toContain("pollux-42")
})

test("an exhausted quota is what the CLI shows as a usage limit", async () => {
  const [account] = world.openai.accounts
  if (account === undefined) throw new Error("the fake has no account")
  world.openai.fault(account, { kind: "usage_limit", resetsAt: Math.floor(Date.now() / 1000) + 7_200 })
  const ran = await codex(PROMPT)
  expect(ran.code).not.toBe(0)
  expect(ran.output).toMatch(/usage limit/i)
})

/** A call of whichever shell tool this version of the CLI offers. */
function shellCall(tools: unknown, command: string): { name: string; arguments: string } {
  const names = (Array.isArray(tools) ? tools : []).map((tool) => String(Object(tool).name))
  if (names.includes("exec_command")) return { name: "exec_command", arguments: JSON.stringify({ cmd: command }) }
  if (names.includes("shell_command")) return { name: "shell_command", arguments: JSON.stringify({ command }) }
  return { name: "shell", arguments: JSON.stringify({ command: ["sh", "-c", command] }) }
}
