import { expect, test } from "bun:test"
import { RequestHeads } from "../../../src/http/http1/request-head.ts"
import { callerOf } from "../../../src/providers/codex/caller.ts"
import { Upstream } from "../../../src/providers/codex/upstream.ts"
import { ServedVersions } from "../../../src/providers/codex/version.ts"
import { Fields } from "../../../src/relay/http1/fields.ts"
import { KnownFields } from "../../../src/relay/http1/known-fields.ts"
import { heapBytes } from "../../support/heap.ts"
import { callOf, plainLease, settingsOf } from "./support.ts"

test("what is remembered of a caller keeps nothing else of its request's head, which holds a key", async () => {
  const settings = { current: settingsOf(null) }
  const call = await callOf({ model: "gpt-5.2", input: "hi" })
  const heads = new RequestHeads(new KnownFields())
  const kept: unknown[] = []
  const before = heapBytes()
  for (let round = 0; round < 40; round++) {
    const versions = new ServedVersions()
    const upstream = new Upstream({ settings, isFedramp: () => false, sender: () => new Promise(() => undefined) })
    kept.push(versions, upstream)
    for (let i = 0; i < Upstream.MAX_KINDS; i++) {
      const agent = `codex_cli_rs/0.${i}.0 (round ${round})`
      const head = `GET / HTTP/1.1\r\nhost: a\r\nuser-agent: ${agent}\r\nversion: 0.${i}.0\r\nx: ${"y".repeat(15_000)}`
      const caller = callerOf(new Fields(heads.read(Buffer.from(head).toString("latin1")).fields))
      const version = caller.version ?? ""
      void upstream.send(plainLease, { ...call, caller, version }, new AbortController().signal)
      versions.served(`model-${i}`, version)
    }
  }
  // All the heads are 150 MB.
  expect(heapBytes() - before).toBeLessThan(75_000_000)
  expect(kept).toHaveLength(80)
})
