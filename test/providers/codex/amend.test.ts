import { expect, test } from "bun:test"
import { trimmed } from "../../../src/providers/codex/amend.ts"
import { judgeFailure } from "../../../src/providers/codex/verdict.ts"
import { callOf, judgeContext, plainLease, VERSION } from "./support.ts"

test("the call that is kept as long as its stream runs has lost its body, and does to its credential what the whole one does", async () => {
  const whole = await callOf({ input: [{ type: "reasoning", encrypted_content: "x".repeat(1_000) }], user: "me" })
  const kept = trimmed(whole)
  expect(kept.body.length).toBe(0)
  const codes = ["usage_limit_reached", "invalid_encrypted_content", "server_is_overloaded", "model_not_found", "other"]
  for (const code of codes) {
    const body = JSON.stringify({ type: "response.failed", response: { error: { code, message: "m" } } })
    const [full, bare] = [whole, kept].map((call) => {
      const failure = { kind: "event", headers: new Headers(), body } as const
      return judgeFailure(failure, call, plainLease, judgeContext(), VERSION)
    })
    expect([bare?.cause, bare?.act]).toEqual([full?.cause, full?.act])
  }
})
