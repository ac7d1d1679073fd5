/**
 * Thought signatures (spec 7.2). From Gemini 3 on, the first function call of each model turn must come back with the signature it
 * was given out with, and many clients drop it. What passes is remembered per function call, for a while; what is missing in a
 * request is put back, or stands as the value that Google documents as "do not check".
 */
import { createHash } from "node:crypto"
import { LRUCache } from "lru-cache"
import type { Clock } from "../../observe/clock.ts"
import type { Change, Path } from "./changes.ts"
import { arrayOr, isObject, type JsonObject, parseJson, textOr } from "./json.ts"

/** Google's documented value for "skip validation" (ai.google.dev, thought signatures, FAQ). */
export const DUMMY_SIGNATURE = "skip_thought_signature_validator"

const MAX_ENTRIES = 20_000
/** Keys and signatures together; a signature is some hundred bytes to some ten thousand. */
const MAX_BYTES = 32 * 1024 * 1024
/** Since the last use. */
const TTL_MS = 3 * 3_600_000

const DECODER = new TextDecoder()

/** A function call in a model turn that came without its signature. */
export interface Hole {
  /** Of the part, in the request. */
  readonly path: Path
  readonly key: string | null
  /** First call of its turn: validated, so it needs at least the dummy. */
  readonly first: boolean
  /** The member is there, empty or null. */
  readonly blank: boolean
}

interface Entry {
  readonly signature: string
  readonly credential: number
}

/** Whether the model refuses function calls without a signature. */
export const validates = (model: string): boolean => /^gemini-(?:[3-9]|\d\d)/.test(model)

/** Deeper arguments are no call that a model made, and cost time to look at. */
const MAX_DEPTH = 64

/** Names a call by what it says; ids are left out, since clients make up their own. Null if it cannot be told. */
export function callKey(model: string, call: unknown): string | null {
  if (!isObject(call) || typeof call.name !== "string") return null
  const args = canonical(call.args ?? {}, 0)
  return args === null
    ? null
    : createHash("sha256")
        .update(`${JSON.stringify([model, call.name])}${args}`)
        .digest("base64url")
}

/** JSON with its keys in order, or null if it is nested too deeply. */
function canonical(value: unknown, depth: number): string | null {
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  if (depth === MAX_DEPTH) return null
  const parts: string[] = []
  for (const [key, item] of Array.isArray(value) ? value.entries() : Object.entries(value).toSorted(byKey)) {
    const text = canonical(item, depth + 1)
    if (text === null) return null
    parts.push(typeof key === "number" ? text : `${JSON.stringify(key)}:${text}`)
  }
  return Array.isArray(value) ? `[${parts.join(",")}]` : `{${parts.join(",")}}`
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)

/** The holes of a request that is about to be sent to `model`. */
export function findHoles(model: string, request: JsonObject): readonly Hole[] {
  const turns = modelTurns(request)
  if (turns.length === 0) return NO_HOLES
  const holes: Hole[] = []
  for (const { path, parts } of turns) {
    let first = true
    for (const [index, part] of parts.entries()) {
      if (!isObject(part) || !isObject(part.functionCall)) continue
      if (textOr(part.thoughtSignature) === null)
        holes.push({
          path: [...path, index],
          key: callKey(model, part.functionCall),
          first,
          blank: Object.hasOwn(part, "thoughtSignature"),
        })
      first = false
    }
  }
  return holes
}

/** For a request refused for its signatures: every one stands as the dummy, or goes where the model does not ask for any. */
export function withoutSignatures(model: string, request: JsonObject): Change[] {
  const changes: Change[] = []
  const dummy = JSON.stringify(DUMMY_SIGNATURE)
  for (const { path, parts } of modelTurns(request)) {
    let first = true
    for (const [index, part] of parts.entries()) {
      if (!isObject(part)) continue
      const place = [...path, index]
      const call = isObject(part.functionCall)
      if (Object.hasOwn(part, "thoughtSignature")) {
        const at = [...place, "thoughtSignature"]
        changes.push(validates(model) ? { path: at, op: "replace", json: dummy } : { path: at, op: "remove" })
      } else if (call && first && validates(model)) {
        changes.push({ path: place, op: "insert", member: `"thoughtSignature":${dummy}` })
      }
      if (call) first = false
    }
  }
  return changes
}

interface Turn {
  readonly path: Path
  readonly parts: readonly unknown[]
}

const NO_TURNS: readonly Turn[] = []
const NO_HOLES: readonly Hole[] = []

function modelTurns({ contents }: JsonObject): readonly Turn[] {
  if (!Array.isArray(contents)) return NO_TURNS
  let turns: Turn[] | null = null
  for (let index = 0; index < contents.length; index++) {
    const content: unknown = contents[index]
    if (!isObject(content) || content.role !== "model") continue
    turns ??= []
    turns.push({ path: ["contents", index, "parts"], parts: arrayOr(content.parts) })
  }
  return turns ?? NO_TURNS
}

export class Signatures {
  readonly #clock: Clock
  /** Made with the first signature: its tables take a megabyte, and 1.5 ms of each start. */
  #entries: LRUCache<string, Entry> | null = null
  /** Set once a foreign signature was refused: from then on only the credential that got one sends it. */
  #bound = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries?.size ?? 0
  }

  /** Remembers the signed function calls of a `response` value (JSON bytes). Never throws. */
  learn(model: string, credential: number, response: Uint8Array): void {
    // Images are signed too, and are large: only calls are worth parsing for.
    if (!Buffer.from(response.buffer, response.byteOffset, response.byteLength).includes('"functionCall"')) return
    const value = parseJson(DECODER.decode(response))
    if (!isObject(value)) return
    for (const candidate of arrayOr(value.candidates)) {
      const content = isObject(candidate) ? candidate.content : null
      for (const part of isObject(content) ? arrayOr(content.parts) : []) {
        if (!isObject(part)) continue
        const signature = textOr(part.thoughtSignature)
        const key = signature === null ? null : callKey(model, part.functionCall)
        if (signature !== null && key !== null) this.#keep(key, { signature, credential })
      }
    }
  }

  /** The changes that fill the holes for an attempt with this credential. */
  fill(model: string, holes: readonly Hole[], credential: number): Change[] {
    const changes: Change[] = []
    for (const { path, key, first, blank } of holes) {
      const entry = key === null ? undefined : this.#entries?.get(key)
      const known = entry !== undefined && (!this.#bound || entry.credential === credential) ? entry.signature : null
      const signature = known ?? (first && validates(model) ? DUMMY_SIGNATURE : null)
      if (signature === null) continue
      const json = JSON.stringify(signature)
      if (blank) changes.push({ path: [...path, "thoughtSignature"], op: "replace", json })
      else changes.push({ path, op: "insert", member: `"thoughtSignature":${json}` })
    }
    return changes
  }

  /** A request with these holes was refused for its signatures: what was put in is forgotten. */
  refused(holes: readonly Hole[], credential: number): void {
    for (const { key } of holes) {
      const entry = key === null ? undefined : this.#entries?.peek(key)
      if (key === null || entry === undefined) continue
      if (entry.credential !== credential) this.#bound = true
      this.#entries?.delete(key)
    }
  }

  #keep(key: string, entry: Entry): void {
    this.#entries ??= new LRUCache({
      max: MAX_ENTRIES,
      maxSize: MAX_BYTES,
      sizeCalculation: ({ signature }, name) => signature.length + name.length + 64,
      ttl: TTL_MS,
      updateAgeOnGet: true,
      ttlResolution: 0,
      perf: { now: () => this.#clock.mono() },
    })
    this.#entries.set(key, entry)
  }
}
