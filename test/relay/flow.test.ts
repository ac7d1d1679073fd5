import { describe, expect, test } from "bun:test"
import { flow } from "../../src/relay/flow.ts"
import { Batch } from "../../src/relay/http1/batch.ts"
import { Body, HIGH_WATER_BYTES } from "../../src/relay/http1/body.ts"
import type { ChunkReader, Receiver } from "../../src/relay/ports.ts"
import { until } from "../support/wait.ts"

/** Writes down what it gets; has enough after each of `enough` chunks. */
class Notes implements Receiver {
  readonly got: string[] = []
  constructor(private readonly enough: ReadonlySet<string> = new Set()) {}

  take(value: Uint8Array): boolean {
    const text = new TextDecoder().decode(value)
    this.got.push(text)
    return !this.enough.has(text)
  }
  ended(): void {
    this.got.push("(end)")
  }
  broke(error: unknown): void {
    this.got.push(`(${error instanceof Error ? error.message : error})`)
  }
}

interface Scene {
  readonly reader: ChunkReader
  push(text: string): void
  end(): void
  fail(error: Error): void
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function ownBody(): Scene {
  const nothing = (): void => undefined
  const body = new Body({ pause: nothing, resume: nothing, abandon: nothing }, new Batch())
  return {
    reader: body,
    push: (text) => body.push(bytes(text)),
    end: () => body.end(),
    fail: (error) => body.fail(error),
  }
}

function runtimesBody(): Scene {
  let controller: ReadableStreamDefaultController<Uint8Array> | null = null
  const stream = new ReadableStream<Uint8Array>({
    start: (own) => {
      controller = own
    },
  })
  return {
    reader: stream.getReader(),
    push: (text) => controller?.enqueue(bytes(text)),
    end: () => controller?.close(),
    fail: (error) => controller?.error(error),
  }
}

for (const [name, make] of [
  ["a connection of our own", ownBody],
  ["the runtime", runtimesBody],
] as const) {
  describe(`the chunks of ${name}`, () => {
    test("go to their receiver in order, those that were there before first, and then the end, once", async () => {
      const { reader, push, end } = make()
      const notes = new Notes()
      push("a")
      push("b")
      void flow(reader, notes, null)
      await until("what was there is given", () => notes.got.length === 2)
      push("c")
      await until("what comes is given", () => notes.got.length === 3)
      push("d")
      end()
      await until("the end is told", () => notes.got.includes("(end)"))
      await Bun.sleep(5)
      expect(notes.got).toEqual(["a", "b", "c", "d", "(end)"])
    })

    test("wait for a receiver that has enough until it asks again", async () => {
      const { reader, push, end } = make()
      const notes = new Notes(new Set(["a", "c"]))
      for (const text of ["a", "b", "c"]) push(text)
      end()
      void flow(reader, notes, null)
      await Bun.sleep(5)
      expect(notes.got).toEqual(["a"])
      void flow(reader, notes, null)
      await Bun.sleep(5)
      expect(notes.got).toEqual(["a", "b", "c"])
      void flow(reader, notes, null)
      await until("the end is told", () => notes.got.includes("(end)"))
      expect(notes.got).toEqual(["a", "b", "c", "(end)"])
    })

    test("begin with that of a read that was begun before", async () => {
      const { reader, push, end } = make()
      const notes = new Notes()
      const pending = reader.read()
      void flow(reader, notes, pending)
      for (const text of ["a", "b"]) push(text)
      end()
      await until("the end is told", () => notes.got.includes("(end)"))
      expect(notes.got).toEqual(["a", "b", "(end)"])
    })

    test("are followed by what broke the body", async () => {
      const { reader, push, fail } = make()
      const notes = new Notes()
      void flow(reader, notes, null)
      push("a")
      await until("it is given", () => notes.got.length === 1)
      fail(new Error("broken"))
      await until("it is told", () => notes.got.length === 2)
      expect(notes.got).toEqual(["a", "(broken)"])
    })

    test("do not reach a receiver any more when nobody wants them", async () => {
      const { reader, push } = make()
      const notes = new Notes()
      void flow(reader, notes, null)
      push("a")
      await until("it is given", () => notes.got.length === 1)
      // The runtime's reader tells its end to whoever waits, ours nobody; a stream that was given up listens to neither.
      await reader.cancel()
      await Bun.sleep(5)
      expect(notes.got.filter((text) => text !== "(end)")).toEqual(["a"])
    })
  })
}

test("a body of our own whose receiver has enough fills up, and holds its connection back until it is taken", async () => {
  const asked: string[] = []
  const source = { pause: () => asked.push("pause"), resume: () => asked.push("resume"), abandon: () => undefined }
  const body = new Body(source, new Batch())
  let isEnough = true
  const receiver: Receiver = { take: () => !isEnough, ended: () => undefined, broke: () => undefined }
  body.flow(receiver)
  const half = new Uint8Array(HIGH_WATER_BYTES / 2)
  for (let i = 0; i < 2; i++) body.push(half)
  expect(asked).toEqual([])
  body.push(half)
  expect(asked).toEqual(["pause"])
  isEnough = false
  body.flow(receiver)
  expect(asked).toEqual(["pause", "resume"])
  for (let i = 0; i < 8; i++) body.push(half)
  expect(asked).toEqual(["pause", "resume"])
})
