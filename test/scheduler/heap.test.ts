import { expect, test } from "bun:test"
import fc from "fast-check"
import { Deadline, DeadlineHeap } from "../../src/scheduler/heap.ts"

class Node extends Deadline {
  constructor(readonly name: number) {
    super()
  }
}

const operation = fc.oneof(
  fc.record({ do: fc.constant("set" as const), name: fc.nat(15), at: fc.integer({ min: 0, max: 50 }) }),
  fc.record({ do: fc.constant("remove" as const), name: fc.nat(15), at: fc.constant(0) }),
  fc.record({ do: fc.constant("pop" as const), name: fc.constant(0), at: fc.integer({ min: 0, max: 50 }) }),
)

test("the heap gives back what a sorted list would, whatever is moved or removed", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const heap = new DeadlineHeap<Node>()
      const nodes = Array.from({ length: 16 }, (_, name) => new Node(name))
      const model = new Map<number, number>()
      for (const { do: what, name, at } of operations) {
        const node = nodes[name] ?? new Node(-1)
        if (what === "set") {
          heap.set(node, at)
          model.set(name, at)
        } else if (what === "remove") {
          heap.remove(node)
          model.delete(name)
        } else {
          const earliest = Math.min(...model.values())
          const popped = heap.pop(at)
          if (earliest > at) expect(popped).toBeUndefined()
          else {
            expect(model.get(popped?.name ?? -1)).toBe(earliest)
            model.delete(popped?.name ?? -1)
          }
        }
        expect(heap.size).toBe(model.size)
        expect(heap.next()).toBe(Math.min(...model.values()))
        for (const one of nodes) expect(one.pending).toBe(model.has(one.name))
      }
    }),
  )
})

test("a deadline that never comes stands nowhere", () => {
  const heap = new DeadlineHeap<Node>()
  const node = new Node(1)
  heap.set(node, 5)
  heap.set(node, Number.POSITIVE_INFINITY)
  expect(heap.size).toBe(0)
  heap.set(node, Number.NaN)
  expect(heap.size).toBe(0)
})
