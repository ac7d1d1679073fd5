import { expect, test } from "bun:test"
import { Awaited } from "../../src/scheduler/awaited.ts"
import type { Now } from "../../src/scheduler/entry.ts"
import { CredentialPool } from "../../src/scheduler/pool.ts"
import type { Acquired, Ask } from "../../src/scheduler/ports.ts"
import { Queue } from "../../src/scheduler/queue.ts"
import { Waiter, Waiters } from "../../src/scheduler/waiters.ts"
import { MemorySource } from "./support/memory.ts"

const NOW: Now = { mono: 1_000, wall: Date.UTC(2026, 0, 1) }

function ask(signal = new AbortController().signal): Ask {
  return {
    model: "m",
    sessions: [],
    exclude: new Set(),
    avoid: new Set(),
    only: null,
    deadline: 60_000,
    signal,
  }
}

test("a waiter that was answered leaves no deadline and no listener behind", () => {
  const pool = new CredentialPool()
  pool.setModels(["m"])
  const entry = pool.place(new MemorySource().put())
  pool.settle(entry)
  const queue = new Queue({
    pool,
    renewer: { awaited: new Awaited(), ask: () => {} },
    leasing: { begin: () => {} },
    settings: { current: { maxWaitMs: 0 } },
    send: () => {},
  })
  const answers: Acquired[] = []
  const gone = new AbortController()
  queue.enter(ask(gone.signal), null, NOW, (answer) => answers.push(answer))
  expect(pool.heap.size).toBe(1)
  entry.accessToken = "token"
  entry.alive = true
  pool.settle(entry)
  queue.serve(NOW)
  expect(answers).toHaveLength(1)
  expect(pool.heap.size).toBe(0)
  gone.abort()
  expect(answers).toHaveLength(1)
})

test("lines keep their order when somebody in the middle leaves", () => {
  const waiters = new Waiters(3)
  const [a, b, c] = [0, 1, 2].map(() => new Waiter(ask(), 0, null, () => {}))
  if (!a || !b || !c) throw new Error("unreachable")
  for (const one of [a, b, c]) waiters.add(one)
  expect(waiters.full).toBe(true)
  waiters.remove(b)
  waiters.remove(b)
  waiters.add(b)
  const seen: Waiter[] = []
  waiters.each((one) => {
    seen.push(one)
    waiters.remove(one)
  })
  expect(seen).toEqual([a, c, b])
  expect(waiters.size).toBe(0)
})
