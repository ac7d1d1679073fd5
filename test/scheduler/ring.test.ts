import { expect, test } from "bun:test"
import fc from "fast-check"
import { Ring } from "../../src/scheduler/ring.ts"

const operation = fc.record({
  do: fc.constantFrom("push" as const, "remove" as const, "rotate" as const),
  slot: fc.nat(40),
})

function listOf(ring: Ring): number[] {
  const list: number[] = []
  for (let slot = ring.head, left = ring.size; left > 0; left--, slot = ring.after(slot)) list.push(slot)
  return list
}

test("the ring keeps the order that an array would, and no slot twice", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
      const ring = new Ring("model", 2)
      let model: number[] = []
      for (const { do: what, slot } of operations) {
        if (what === "push") {
          ring.push(slot)
          if (!model.includes(slot)) model.push(slot)
        } else if (what === "remove") {
          ring.remove(slot)
          model = model.filter((other) => other !== slot)
        } else if (model.includes(slot)) {
          ring.rotate(slot)
          model = [...model.filter((other) => other !== slot), slot]
        }
        expect(listOf(ring)).toEqual(model)
        expect(ring.has(slot)).toBe(model.includes(slot))
      }
    }),
  )
})
