import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type Change, locate } from "../../../src/providers/geminicli/changes.ts"
import {
  applyEdits,
  elementsOf,
  memberOf,
  membersOf,
  skipValue,
  valueAt,
} from "../../../src/providers/geminicli/json.ts"
import { bytes, text } from "./support.ts"

const edited = (json: string, changes: readonly Change[]) =>
  text(applyEdits(bytes(json), locate(bytes(json), 0, changes)))

describe("the parts of a JSON text", () => {
  test("every member of any object is found with its key and value", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.constantFrom(0, 1, "\t"), (value, indent) => {
        const data = bytes(JSON.stringify(value, null, indent))
        const found = membersOf(data, 0).map((member) => [member.key, valueAt(data, member.value)] as const)
        expect(found).toEqual(Object.entries(JSON.parse(text(data))))
      }),
    )
  })

  test("every element of any array is found", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom(0, 1), (value, indent) => {
        const data = bytes(JSON.stringify(value, null, indent))
        expect(elementsOf(data, 0).map((span) => valueAt(data, span))).toEqual(JSON.parse(text(data)))
      }),
    )
  })

  test("nothing throws or hangs on bytes that are no JSON", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(50), (data, at) => {
        membersOf(data, at)
        elementsOf(data, at)
        expect(skipValue(data, at)).toBeGreaterThanOrEqual(-1)
      }),
    )
  })

  test("a hundred thousand nested arrays cost no stack", () => {
    const deep = bytes(`{"a":${"[".repeat(100_000)}${"]".repeat(100_000)},"b":1}`)
    expect(memberOf(deep, 0, "b")?.value.start).toBe(deep.length - 2)
  })

  test("of members with the same key the last one counts, as for JSON.parse", () => {
    const data = bytes('{"a":1,"\\u0061":2}')
    const member = memberOf(data, 0, "a")
    expect(member === null ? null : valueAt(data, member.value)).toBe(2)
  })
})

describe("changes by path", () => {
  test("removing any members leaves exactly the others", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.array(fc.boolean()),
        fc.boolean(),
        (value, picks, pretty) => {
          const json = JSON.stringify(value, null, pretty ? 2 : 0)
          const plain: Record<string, unknown> = JSON.parse(json)
          const gone = Object.keys(plain).filter((_, index) => picks[index] === true)
          const result = edited(json, [
            ...gone.map((key): Change => ({ path: [key], op: "remove" })),
            { path: [], op: "insert", member: '"inserted\\n":[1]' },
          ])
          const expected = Object.fromEntries(Object.entries(plain).filter(([key]) => !gone.includes(key)))
          expect(JSON.parse(result)).toEqual({ "inserted\n": [1], ...expected })
        },
      ),
    )
  })

  test("a member is added before one that is spelled differently", () => {
    const json = '{"old_name":1,"part":{"old_name":2}}'
    expect(
      edited(json, [
        { path: ["old_name"], op: "rename", key: "newName" },
        { path: ["part", "old_name"], op: "rename", key: "newName" },
        { path: ["part"], op: "insert", member: '"b":2' },
        { path: [], op: "insert", member: '"a":1' },
      ]),
    ).toBe('{"a":1,"newName":1,"part":{"b":2,"newName":2}}')
  })

  test("removing any elements leaves exactly the others", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.array(fc.boolean()), (value, picks) => {
        const json = JSON.stringify(value)
        const changes = value.flatMap((_, index): Change[] =>
          picks[index] === true ? [{ path: [index], op: "remove" }] : [],
        )
        expect(JSON.parse(edited(json, changes))).toEqual(
          JSON.parse(json).filter((_: unknown, i: number) => picks[i] !== true),
        )
      }),
    )
  })

  test("numbers, escapes and order outside the change stay as they were", () => {
    const json = '{ "big" : 12345678901234567890, "e":1E400, "s":"\\u00e9\\ud800", "old_name" : {"x":1.0} }'
    expect(
      edited(json, [
        { path: ["old_name"], op: "rename", key: "newName" },
        { path: ["old_name", "x"], op: "replace", json: "2" },
      ]),
    ).toBe('{ "big" : 12345678901234567890, "e":1E400, "s":"\\u00e9\\ud800", "newName" : {"x":2} }')
  })

  test("a path that leads nowhere changes nothing", () => {
    const json = '{"a":[1,{"b":2}]}'
    expect(
      edited(json, [
        { path: ["a", 7], op: "remove" },
        { path: ["a", "x"], op: "remove" },
        { path: ["a", 0, "b"], op: "replace", json: "9" },
        { path: ["z"], op: "rename", key: "y" },
      ]),
    ).toBe(json)
  })
})
