import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type Enrolled, Roll } from "../../src/relay/roll.ts"

interface Member extends Enrolled {
  readonly name: number
}

function present(roll: Roll<Member>): number[] {
  const names: number[] = []
  roll.each(({ name }) => names.push(name))
  return names.sort((a, b) => a - b)
}

describe("a roll", () => {
  test("holds what a set would hold, whatever comes and goes", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ comes: fc.boolean(), name: fc.nat(9) })), (steps) => {
        const members = Array.from({ length: 10 }, (_, name): Member => ({ name }))
        const roll = new Roll<Member>()
        const model = new Set<number>()
        for (const { comes, name } of steps) {
          const member = members[name]
          if (member === undefined) throw new Error("no such member")
          if (comes) roll.add(member)
          else roll.remove(member)
          if (comes) model.add(name)
          else model.delete(name)
          expect(roll.size).toBe(model.size)
          expect(present(roll)).toEqual([...model].sort((a, b) => a - b))
        }
      }),
    )
  })

  test("visits everybody who stays, while those visited leave and others come", () => {
    const roll = new Roll<Member>()
    for (let name = 0; name < 10; name++) roll.add({ name })
    const visited: number[] = []
    roll.each((member) => {
      visited.push(member.name)
      if (member.name % 3 === 0) roll.remove(member)
      if (member.name < 10) roll.add({ name: member.name + 10 })
    })
    expect(visited.filter((name) => name < 10).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(present(roll).filter((name) => name < 10)).toEqual([1, 2, 4, 5, 7, 8])
  })

  test("does not take a stranger for a member", () => {
    const one = new Roll<Member>()
    const member = { name: 1 }
    one.add(member)
    one.remove({ name: 2, place: 0 })
    one.remove({ name: 3 })
    expect(one.size).toBe(1)
    one.remove(member)
    one.remove(member)
    expect(one.size).toBe(0)
  })
})
