import { expect, test } from "bun:test"
import { hasOrphanOutput, normaliseInput, stripEncrypted, stripIds } from "../../../src/providers/codex/items.ts"

const message = (role: string, content: unknown, more: object = {}) => ({ type: "message", role, content, ...more })
const input = (text: string) => ({ type: "input_text", text })
const output = (text: string) => ({ type: "output_text", text })

test("a system message becomes a developer message where it stands", () => {
  const image = { type: "input_image", image_url: "data:" }
  const items = [message("user", [input("a")]), message("system", [input("b"), image]), message("user", [input("c")])]
  expect(normaliseInput(items)).toEqual([items[0], message("developer", [input("b"), image]), items[2]])
})

test("text is output_text in the assistant's messages and input_text in all others", () => {
  expect(
    normaliseInput([
      message("assistant", "hi"),
      message("user", "hi"),
      message("assistant", [input("x"), { type: "refusal", refusal: "no" }]),
      { role: "user", content: [{ type: "output_text", text: "y", annotations: [] }, "z"] },
      message("tool", [{ type: "text", text: "t" }]),
    ]),
  ).toEqual([
    message("assistant", [output("hi")]),
    message("user", [input("hi")]),
    message("assistant", [output("x"), { type: "refusal", refusal: "no" }]),
    { role: "user", content: [input("y"), input("z")] },
    message("tool", [input("t")]),
  ])
})

test("an id stays if it fits its item, and goes if it does not", () => {
  const call = { type: "function_call", call_id: "call_1", name: "f", arguments: "{}" }
  const keep = [
    message("user", [input("a")], { id: `msg_${"0".repeat(60)}` }),
    { ...call, id: "fc_1" },
    { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "e" },
    { type: "mcp_call", id: "anything at all" },
    { type: "web_search_call", id: "ws_1" },
    { type: "additional_tools", role: "developer", tools: [], id: "x" },
  ]
  expect(normaliseInput(keep)).toBe(keep)
  const drop = [
    message("user", [input("a")], { id: `msg_${"0".repeat(61)}` }),
    { ...call, id: "call_1" },
    { role: "user", content: [input("a")], id: "item-1" },
    { type: "reasoning", id: 7, summary: [] },
  ]
  for (const item of normaliseInput(drop)) expect(item).not.toHaveProperty("id")
  expect(normaliseInput(drop)[1]).toEqual(call)
})

test("unknown items and parts are left alone, and an input that is fine comes back itself", () => {
  const items = [
    null,
    3,
    "text",
    { type: "future_item", content: "as it is", role: 4 },
    message("user", 5),
    message("user", null),
  ]
  expect(normaliseInput(items)).toBe(items)
})

test("stripping takes exactly what another account cannot read, or nothing", () => {
  const reasoning = { type: "reasoning", id: "rs_1", encrypted_content: "e", summary: [] }
  const compaction = { type: "compaction", encrypted_content: "e" }
  const user = message("user", [input("a")], { id: "msg_1" })
  expect(stripEncrypted([user, reasoning, compaction])).toEqual([user])
  expect(stripEncrypted([user])).toBeNull()
  expect(stripIds([user, reasoning, { type: "reasoning", id: "rs_2", summary: [] }])).toEqual([
    message("user", [input("a")]),
    { type: "reasoning", encrypted_content: "e", summary: [] },
  ])
  // A reference is nothing but its id: taking it away would lose a part of the conversation unseen.
  expect(stripIds([{ type: "item_reference", id: "msg_1" }])).toBeNull()
})

test("an output without its call is noticed", () => {
  const call = { type: "function_call", call_id: "c1" }
  const out = { type: "function_call_output", call_id: "c1" }
  expect(hasOrphanOutput([call, out])).toBeFalse()
  expect(hasOrphanOutput([out])).toBeTrue()
  expect(hasOrphanOutput([{ type: "message" }, null])).toBeFalse()
})
