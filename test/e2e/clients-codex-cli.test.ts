import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Captured } from "../../scripts/lib/capture.ts"
import { runCli } from "../support/clients.ts"
import { startWorld, type World } from "../support/world.ts"

const PROMPT = "Tell me something short."

let world: World
let home: string
let work: string

beforeAll(async () => {
  world = await startWorld()
  home = join(world.pollux.cwd, "codex-home")
  work = join(world.pollux.cwd, "codex-work")
  mkdirSync(home, { recursive: true })
  writeFileSync(
    join(home, "config.toml"),
    `model = "gpt-5.2-codex"
model_provider = "pollux"
check_for_update_on_startup = false

[analytics]
enabled = false

[model_providers.pollux]
name = "Pollux"
base_url = "${world.pollux.url}/codex/v1"
env_key = "POLLUX_KEY"
wire_api = "responses"
`,
  )
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})

/** The test's folder is the sandbox: the commands it runs are scripted below. */
function codex(...args: string[]): Promise<Captured> {
  const flags = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json"]
  const env = { CODEX_HOME: home, POLLUX_KEY: world.pollux.key }
  return runCli("codex", [...flags, ...args], { cwd: work, home, env })
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
  expect(readFileSync(join(work, "made.txt"), "utf8").trim()).toBe("pollux-42")
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
