import { expect, test } from "bun:test"
import type { CredentialSource } from "../../src/scheduler/ports.ts"
import { IN_MEMORY } from "../../src/store/open.ts"
import { open } from "./support.ts"

test("a store's source is what the scheduler asks for", () => {
  const { store } = open(IN_MEMORY)
  const source: CredentialSource = store.source("geminicli")
  expect(source.load()).toEqual([])
  store.close()
})
