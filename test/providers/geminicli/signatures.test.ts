import { describe, expect, test } from "bun:test"
import type { Clock } from "../../../src/observe/clock.ts"
import { envelopeFor } from "../../../src/providers/geminicli/request.ts"
import { callKey, DUMMY_SIGNATURE, findHoles, Signatures } from "../../../src/providers/geminicli/signatures.ts"
import { Wrapper } from "../../../src/providers/geminicli/wrapper.ts"
import { bytes, callOf, textIn } from "./support.ts"

const G3 = "gemini-3-pro-preview"
const call = (name: string, args: object, more: object = {}) => ({ functionCall: { name, args, ...more } })
const turn = (...parts: object[]) => ({ role: "model", parts })
const history = (...turns: object[]) => ({ contents: [{ role: "user", parts: [{ text: "go" }] }, ...turns] })
const signed = (...parts: object[]) => bytes(JSON.stringify({ candidates: [{ content: { parts } }] }))

function clockAt(): Clock & { now: number } {
  const clock = { now: 0, mono: () => clock.now, wall: () => clock.now }
  return clock
}

const partsSent = (body: object, signatures: Signatures, over: { model?: string; credential?: number } = {}) => {
  const asked = callOf(body, { model: over.model ?? G3 })
  const envelope = envelopeFor(asked, { project: "p", credential: over.credential ?? 1 }, signatures, new Wrapper())
  const { contents } = JSON.parse(textIn(envelope)).request
  return contents
    .slice(1)
    .map((content: { parts: { thoughtSignature?: string }[] }) => content.parts.map((part) => part.thoughtSignature))
}

describe("a function call that lost its signature", () => {
  test("gets back the one it was given out with, whatever the order of its arguments and its id", () => {
    const signatures = new Signatures(clockAt())
    signatures.learn(
      G3,
      1,
      signed(
        call("f", { a: 1, b: { c: 2, d: 3 } }),
        { text: "x" },
        { ...call("f", { a: 1, b: { c: 2, d: 3 } }, { id: "z" }), thoughtSignature: "s1" },
        { ...call("g", {}), thoughtSignature: "s2" },
      ),
    )
    expect(signatures.size).toBe(2)
    const body = history(turn(call("f", { b: { d: 3, c: 2 }, a: 1 }, { id: "made-up" }), call("g", {})))
    expect(partsSent(body, signatures)).toEqual([["s1", "s2"]])
  })

  test("gets the dummy on a miss, if it is the first of its turn and the model asks", () => {
    const signatures = new Signatures(clockAt())
    const body = history(turn({ text: "t" }, call("f", {}), call("g", {})), turn(call("h", {})), {
      role: "user",
      parts: [call("x", {})],
    })
    expect(partsSent(body, signatures)).toEqual([
      [undefined, DUMMY_SIGNATURE, undefined],
      [DUMMY_SIGNATURE],
      [undefined],
    ])
    expect(partsSent(body, signatures, { model: "gemini-2.5-pro" })).toEqual([
      [undefined, undefined, undefined],
      [undefined],
      [undefined],
    ])
  })

  test("keeps the client's own signature, and an empty one counts as none", () => {
    const signatures = new Signatures(clockAt())
    signatures.learn(G3, 1, signed({ ...call("f", {}), thoughtSignature: "mine" }))
    const body = history(
      turn({ ...call("f", {}), thoughtSignature: "theirs" }),
      turn({ ...call("f", {}), thoughtSignature: "" }),
    )
    expect(partsSent(body, signatures)).toEqual([["theirs"], ["mine"]])
  })

  test("is matched within its model only", () => {
    const signatures = new Signatures(clockAt())
    signatures.learn("gemini-3-flash-preview", 1, signed({ ...call("f", {}), thoughtSignature: "s" }))
    expect(partsSent(history(turn(call("f", {}))), signatures)).toEqual([[DUMMY_SIGNATURE]])
  })

  test("is found behind what had to be removed before it", () => {
    const parts = [{}, { function_call: { name: "f", args: {} } }]
    const body = {
      contents: [
        { role: "user", parts: [] },
        { role: "user", parts: [{ text: "go" }] },
        { role: "model", parts },
      ],
    }
    expect(partsSent(body, new Signatures(clockAt()))).toEqual([[DUMMY_SIGNATURE]])
  })

  test("leaves every other byte as it was", () => {
    const json =
      '{"contents":[{"role":"model","parts":[ {"functionCall":{"name":"f","args":{"id":12345678901234567890}}}]}]}'
    const envelope = textIn(
      envelopeFor(
        callOf(json, { model: G3 }),
        { project: "p", credential: 1 },
        new Signatures(clockAt()),
        new Wrapper(),
      ),
    )
    expect(envelope).toContain(
      json.replace('{"functionCall"', `{"thoughtSignature":"${DUMMY_SIGNATURE}","functionCall"`),
    )
  })
})

describe("the memory of signatures", () => {
  test("forgets after three hours without use, and what was refused at once", () => {
    const clock = clockAt()
    const signatures = new Signatures(clock)
    const body = history(turn(call("f", {})))
    signatures.learn(G3, 1, signed({ ...call("f", {}), thoughtSignature: "s" }))
    clock.now = 2 * 3_600_000
    expect(partsSent(body, signatures)).toEqual([["s"]])
    clock.now = 4 * 3_600_000
    expect(partsSent(body, signatures)).toEqual([["s"]])
    clock.now = 8 * 3_600_000
    expect(partsSent(body, signatures)).toEqual([[DUMMY_SIGNATURE]])
    signatures.learn(G3, 1, signed({ ...call("f", {}), thoughtSignature: "s" }))
    signatures.refused(findHoles(G3, body), 1)
    expect(partsSent(body, signatures)).toEqual([[DUMMY_SIGNATURE]])
  })

  test("once a foreign signature was refused, each credential sends its own only", () => {
    const signatures = new Signatures(clockAt())
    const f = history(turn(call("f", {})))
    const g = history(turn(call("g", {})))
    signatures.learn(
      G3,
      1,
      signed({ ...call("f", {}), thoughtSignature: "f1" }, { ...call("g", {}), thoughtSignature: "g1" }),
    )
    expect(partsSent(f, signatures, { credential: 2 })).toEqual([["f1"]])
    signatures.refused(findHoles(G3, f), 2)
    expect(partsSent(g, signatures, { credential: 2 })).toEqual([[DUMMY_SIGNATURE]])
    expect(partsSent(g, signatures, { credential: 1 })).toEqual([["g1"]])
  })

  test("is bounded in bytes", () => {
    const signatures = new Signatures(clockAt())
    const big = "x".repeat(1024 * 1024)
    for (let i = 0; i < 40; i++) signatures.learn(G3, 1, signed({ ...call(`f${i}`, {}), thoughtSignature: big }))
    expect(signatures.size).toBeLessThanOrEqual(32)
    expect(signatures.size).toBeGreaterThan(20)
  })

  test("takes anything without harm", () => {
    const signatures = new Signatures(clockAt())
    for (const body of [
      "",
      "{",
      "[]",
      '{"candidates":5}',
      '{"candidates":[null,{"content":{"parts":[null,{"thoughtSignature":"x"}]}}]}',
    ])
      signatures.learn(G3, 1, bytes(body))
    expect(signatures.size).toBe(0)
    expect(callKey(G3, null)).toBeNull()
    expect(callKey(G3, { name: 5 })).toBeNull()
    const deep = JSON.parse(`${"[".repeat(200_000)}${"]".repeat(200_000)}`)
    expect(callKey(G3, { name: "f", args: deep })).toBeNull()
  })
})
