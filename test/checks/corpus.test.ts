/** Feeds every file of `test/corpus` to whatever reads such bytes. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import fc from "fast-check"
import { parseConfig } from "../../src/config/parse.ts"
import { parseJson } from "../../src/http/body.ts"
import { HttpError } from "../../src/http/ports.ts"
import { readError } from "../../src/providers/codex/errors.ts"
import { ResponseFramer } from "../../src/providers/codex/framer.ts"
import { NO_LIMITS } from "../../src/providers/codex/limits.ts"
import { AnswerNotes } from "../../src/providers/codex/notes.ts"
import { classifyRefusal } from "../../src/providers/codex/refresh-rules.ts"
import { normalise, normaliseCompact, parseBody } from "../../src/providers/codex/request.ts"
import { readProblem } from "../../src/providers/geminicli/errors.ts"
import { readAnswer } from "../../src/providers/geminicli/oauth.ts"
import { parseRequest } from "../../src/providers/geminicli/request.ts"
import { ARRAY_FRAME, SSE_FRAME, StreamFramer } from "../../src/providers/geminicli/response.ts"
import { SseScanner } from "../../src/relay/sse.ts"
import { type Running, startPollux } from "../support/binary.ts"
import { sendRaw } from "../support/raw.ts"
import { amid } from "../support/spans.ts"

const NOW = 1_800_000_000_000
const folder = resolve(import.meta.dir, "../corpus")

interface Input {
  readonly name: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

function inputs(kind: string): readonly Input[] {
  const names = readdirSync(join(folder, kind)).toSorted()
  return names.map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(folder, kind, name))) }))
}

/** Runs a check for the file cut nowhere, at each byte, in single bytes, and at random places (seed printed); for a large one less of it. */
function forEachCut(bytes: Uint8Array, check: (pieces: readonly Uint8Array[]) => void): void {
  check([bytes])
  const near = bytes.length > 4_000 ? 40 : bytes.length
  for (let at = 1; at < near; at++) check([bytes.subarray(0, at), bytes.subarray(at)])
  if (bytes.length <= 4_000) check([...bytes].map((_, at) => bytes.subarray(at, at + 1)))
  const places = fc.uniqueArray(fc.nat(Math.max(0, bytes.length)), { maxLength: 6 })
  fc.assert(
    fc.property(places, (found) => {
      const cuts = [0, ...found.toSorted((a, b) => a - b), bytes.length]
      check(cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end)))
    }),
    { numRuns: bytes.length > 4_000 ? 5 : 30 },
  )
}

const text = (parts: readonly Uint8Array[]) => Buffer.concat(parts).toString("utf8")

/** Types of the events in a stream's text, those without JSON left out. */
function typesOf(stream: string): readonly string[] {
  return stream.split(/\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\r/).flatMap((block) => {
    const data = block
      .split(/\r\n|\r|\n/)
      .filter((line) => line.startsWith("data:"))
      .map((line) => line.slice(5))
    try {
      const type: unknown = Object(JSON.parse(data.join("\n"))).type
      return typeof type === "string" ? [type] : []
    } catch {
      return []
    }
  })
}

describe("streams", () => {
  test.each(inputs("streams").map((input) => [input.name, input] as const))("%s", (_, { bytes }) => {
    forEachCut(bytes, (pieces) => {
      const scanner = new SseScanner()
      const frames: Uint8Array[] = []
      for (const piece of pieces) {
        scanner.feed(piece)
        while (scanner.next()) frames.push(scanner.frame().slice())
      }
      expect(Buffer.concat([...frames, scanner.tail()]).equals(Buffer.from(bytes))).toBe(true)
    })
    const wholeTypes = new Map<boolean, readonly string[]>()
    for (const codex of [true, false]) {
      forEachCut(bytes, (pieces) => {
        const notes = new AnswerNotes(NO_LIMITS, () => NOW)
        const scrub = (said: string) => said.replaceAll("org-AbCdEf123456", "***")
        const framer = new ResponseFramer({ notes, headers: new Headers(), codex, scrub })
        const out = pieces.flatMap((piece) => framer.push(piece)?.slice() ?? [])
        const last = framer.end(null)
        const written = text(last === null ? out : [...out, last])
        const types = typesOf(written)
        expect(types).toEqual(wholeTypes.get(codex) ?? types)
        wholeTypes.set(codex, types)
        if (text([bytes]).includes("event: ") && pieces.every(({ length }) => length > 30)) {
          expect(written).not.toContain("org-AbCdEf123456")
        }
      })
    }
    for (const form of [SSE_FRAME, ARRAY_FRAME]) {
      const outcomes = new Set<string>()
      forEachCut(bytes, (pieces) => {
        const explain = () => '{"error":{"code":502}}'
        const framer = new StreamFramer(form, { headers: new Headers(), learn: () => undefined, explain })
        // It may write over what it is given.
        const out = pieces.flatMap((piece) => framer.push(piece.slice())?.slice() ?? [])
        const last = framer.end(null)
        outcomes.add(text(last === null ? out : [...out, last]))
      })
      expect([...outcomes]).toHaveLength(1)
    }
  })
})

describe("bodies", () => {
  /** Refused in the API's own words, or taken; nothing else. */
  const orRefused = (task: () => void) => {
    try {
      task()
    } catch (error) {
      if (!(error instanceof HttpError)) throw error
    }
  }

  test.each(inputs("bodies").map((input) => [input.name, input] as const))("%s", (_, { bytes }) => {
    for (const verb of ["generateContent", "streamGenerateContent", "countTokens"] as const) {
      const form = verb === "streamGenerateContent" ? "sse" : "unary"
      const promptId = Uint8Array.of(0x70)
      const parsed = parseRequest(bytes, { model: "gemini-2.5-pro", verb, form, sessions: ["s"], promptId })
      if (parsed.call !== null) expect(() => JSON.parse(text([parsed.call.request]))).not.toThrow()
    }
    orRefused(() => {
      const { body } = normalise(parseBody(amid(bytes)), false, ["x"], "cache")
      expect(() => JSON.parse(typeof body === "string" ? body : text([body]))).not.toThrow()
    })
    orRefused(() => normaliseCompact(parseBody(amid(bytes)), []))
    orRefused(() => parseJson(bytes))
    expect(Object.keys({})).toEqual([])
    expect(Reflect.get({}, "model")).toBeUndefined()
  })
})

test.each(inputs("errors").map((input) => [input.name, input] as const))("errors %s", (_, { bytes }) => {
  const body = text([bytes])
  for (const status of [200, 400, 401, 403, 404, 429, 500, 503]) {
    const problem = readProblem(body, status)
    expect(problem.status).toMatch(/^[A-Z_]*$/)
    expect(readError(body, new Headers({ "retry-after": body.slice(0, 20).replace(/[^ -~]/g, "") }))).toBeObject()
    expect(classifyRefusal(status, new Headers(), body, NOW).kind).toMatch(/^(?:permanent|transient|ambiguous|ours)$/)
    expect(readAnswer(status, new Headers(), body, NOW).kind).toMatch(/^(?:refused|unclear|tokens)$/)
  }
})

test.each(inputs("configs").map((input) => [input.name, input] as const))("configs %s", (_, { bytes }) => {
  const outside = { polluxKey: null, adminKey: null, encryptionKey: null }
  const parsed = parseConfig(text([bytes]), "config.toml", outside)
  expect(parsed.ok).toBe(false)
  if (parsed.ok) return
  for (const problem of parsed.problems) expect(problem).toMatch(/^config\.toml:\d+:\d+ [^\x00-\x09\x0b-\x1f]+$/)
})

describe("requests", () => {
  let pollux: Running
  beforeAll(async () => {
    pollux = await startPollux()
  })
  afterAll(async () => {
    await pollux[Symbol.asyncDispose]()
  })

  test.each(inputs("requests").map((input) => [input.name, input] as const))("%s", async (_, { bytes }) => {
    const port = Number(new URL(pollux.url).port)
    const cuts = [0, 1, 5, 20, 40, 60].filter((at) => at < bytes.length)
    const answers = await Promise.all(
      cuts.map((at) =>
        sendRaw(bytes.subarray(0, at), { port, ms: 300, later: [{ after: 20, bytes: bytes.subarray(at) }] }),
      ),
    )
    for (const { text: said } of answers) {
      expect(said).not.toContain(" 101 ")
      expect(said).not.toMatch(/\bat \S+:\d+|node_modules/)
    }
    expect((await fetch(`${pollux.url}/healthz`)).status).toBe(200)
    expect(pollux.log().filter(({ level }) => level === "error")).toEqual([])
  })
})
