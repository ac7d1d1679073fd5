/** Faults inside answers: F9 to F12 and F20. */
import { expect, test } from "bun:test"
import { until } from "../support/wait.ts"
import { memoryOf, peakMemory, resetPeak } from "./support/memory.ts"
import { LONG, PROVIDERS } from "./support/side.ts"
import { startSide } from "./support/start.ts"

const MIB = 2 ** 20
/** Bytes in one line; several times what a frame may have, so that memory can only be bounded by the latter. */
const LINE = 400 * MIB
const LARGEST_FRAME = 64 * MIB
/** The provider's own way to end a stream well, as the client's SDK looks for it. */
const WELL_ENDED = { geminicli: /"finishReason":\s*"STOP"/, codex: /event: response\.completed\n/ } as const

const delta = '{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"one"}'
/** What makes a stream worth committing. */
const BEGINNING = {
  geminicli: 'data: {"response":{"candidates":[{"content":{"role":"model","parts":[{"text":"one"}]},"index":0}]}}\n\n',
  codex: `event: response.output_text.delta\ndata: ${delta}\n\n`,
} as const

for (const provider of PROVIDERS) {
  test.concurrent(`F9: ${provider}: overload as the first event of a 200 fails over; the client sees one clean stream`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    const { upstream } = side
    upstream.trouble({ overload: "first" }, null)
    const response = await side.stream()
    expect(response.status).toBe(200)
    const stream = await response.text()
    expect(upstream.textOf(stream)).toBe(upstream.said(LONG))
    expect(stream).toMatch(WELL_ENDED[provider])
    expect(upstream.errorIn(stream)).toBeNull()
    const [first, second] = upstream.calls()
    expect(first?.account).not.toBe(second?.account)
    expect(upstream.calls()).toHaveLength(2)
  })

  test.concurrent(`F10: ${provider}: overload after the first content is not retried: an error event of the protocol, then the end`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    const { upstream } = side
    upstream.trouble({ overload: "after content" }, null)
    const response = await side.stream()
    expect(response.status).toBe(200)
    const stream = await response.text()
    const text = upstream.textOf(stream)
    expect(text).not.toBe("")
    expect(upstream.said(LONG)).toStartWith(text)
    expect(upstream.errorIn(stream)).not.toBeNull()
    expect(stream).not.toMatch(WELL_ENDED[provider])
    expect(stream).toEndWith("\n\n")
    expect(upstream.calls()).toHaveLength(1)
  })

  test.concurrent(`F11: ${provider}: a connection reset before the headers is tried elsewhere`, async () => {
    await using side = await startSide(provider, { accounts: 2 })
    const { upstream } = side
    for (const stream of [false, true]) {
      upstream.trouble({ silent: "reset" }, null)
      const calls = upstream.calls().length
      const response = await (stream ? side.stream("again") : side.ask("again"))
      expect(response.status).toBe(200)
      expect(upstream.textOf(await response.text())).toBe(upstream.said("again"))
      expect(upstream.calls().length - calls).toBe(2)
    }
    expect((await side.list()).map(({ state }) => state)).toEqual(["ready", "ready"])
  })

  for (const cut of ["amid", "too early"] as const) {
    test.concurrent(`F11: ${provider}: a stream that ends ${cut} ends in an error event, once`, async () => {
      // Events of their own time: a break that overtook the first content would be a retry, and rightly so (README, F11).
      await using side = await startSide(provider, { eventDelayMs: 20 })
      const { upstream } = side
      upstream.trouble({ cut }, null)
      const stream = await (await side.stream()).text()
      expect(upstream.said(LONG)).toStartWith(upstream.textOf(stream))
      expect(upstream.errorIn(stream)).not.toBeNull()
      expect(stream.match(/"error":\s*\{/g)).toHaveLength(1)
      expect(upstream.calls()).toHaveLength(1)
      expect(await side.shown()).toMatchObject({ inFlight: 0 })
    })
  }

  test.concurrent(`F11: ${provider}: a reset after the last event leaves a complete answer complete`, async () => {
    await using side = await startSide(provider)
    const { upstream, pollux } = side
    upstream.trouble({ cut: "after the last event" }, null)
    const stream = await (await side.stream()).text()
    expect(upstream.textOf(stream)).toBe(upstream.said(LONG))
    expect(stream).toMatch(WELL_ENDED[provider])
    expect(upstream.errorIn(stream)).toBeNull()
    expect(pollux.log().filter(({ level }) => level === "warn" || level === "error")).toBeEmpty()
    expect(await side.shown()).toMatchObject({ state: "ready", lastError: null })
  })

  test.concurrent(`F12: ${provider}: silence before the headers ends by first_byte_timeout in a 504 with its reason`, async () => {
    await using side = await startSide(provider, { extra: { first_byte_timeout: 1, retry_max_times: 1 } })
    const { upstream } = side
    for (const stream of [false, true]) {
      for (let i = 0; i < 2; i++) upstream.trouble({ silent: "hang" }, null)
      const began = performance.now()
      const response = await (stream ? side.stream() : side.ask())
      expect(response.status).toBe(504)
      expect(await response.text()).toContain("did not answer in time")
      expect(performance.now() - began).toBeGreaterThan(1_900)
      expect(performance.now() - began).toBeLessThan(6_000)
    }
    await until("every slot is free", async () => (await side.shown()).inFlight === 0)
    await until("the upstream is let go", () => upstream.calls().every(({ aborted }) => aborted))
    expect((await side.ask()).status).toBe(200)
  })

  test.concurrent(`F12: ${provider}: silence amid a stream ends by idle_timeout in an error event`, async () => {
    await using side = await startSide(provider, { extra: { idle_timeout: 1 } })
    const { upstream } = side
    upstream.trouble({ cut: "stall" }, null)
    const began = performance.now()
    const stream = await (await side.stream()).text()
    expect(performance.now() - began).toBeLessThan(6_000)
    expect(upstream.said(LONG)).toStartWith(upstream.textOf(stream))
    expect(upstream.errorIn(stream)).not.toBeNull()
    await until("the slot is free", async () => (await side.shown()).inFlight === 0)
    await until("the upstream is let go", () => upstream.calls()[0]?.aborted)
  })

  test.concurrent(`F12: ${provider}: silence within the limits is bridged by a sign of life`, async () => {
    await using side = await startSide(provider, { extra: { idle_timeout: 18 } })
    side.upstream.trouble({ cut: "stall" }, null)
    const pieces: string[] = []
    for await (const piece of (await side.stream()).body ?? []) pieces.push(Buffer.from(piece).toString())
    // Google's clients know no comments: for them the next event begins early.
    expect(
      pieces.filter((piece) => (provider === "geminicli" ? piece === "data: " : /^:.*\n\n$/.test(piece))),
    ).not.toBeEmpty()
    expect(side.upstream.errorIn(pieces.join(""))).not.toBeNull()
  })
}

// Each alone, since memory is measured.
for (const provider of PROVIDERS) {
  for (const begun of [false, true]) {
    test(`F20: ${provider}: a line without end ${begun ? "after an event " : ""}ends in an error, within bounded memory`, async () => {
      await using side = await startSide(provider, { extra: { retry_max_times: 0 } })
      const { upstream, pollux } = side
      await (await side.stream()).text()
      const raw = `${begun ? BEGINNING[provider] : ""}data: {"filler":"${"x".repeat(LINE)}`
      for (let i = 0; i < 2; i++) upstream.trouble({ raw }, null)
      const before = memoryOf(pollux.pid)
      // A whole Gemini answer is no stream on either side.
      for (const stream of provider === "geminicli" ? [true] : [true, false]) {
        resetPeak(pollux.pid)
        const start = peakMemory(pollux.pid)
        const response = await (stream ? side.stream() : side.ask())
        const text = await response.text()
        if (response.status === 200) expect(upstream.errorIn(text)).not.toBeNull()
        else expect(response.status).toBe(502)
        expect(text.length).toBeLessThan(LARGEST_FRAME + 2 * MIB)
        // By what a frame may have, not by what is sent: its buffer as it grows, what is read ahead, and garbage not yet collected.
        expect((peakMemory(pollux.pid) - start) / MIB).toBeLessThan((6 * LARGEST_FRAME) / MIB)
      }
      await until("the slot is free", async () => (await side.shown()).inFlight === 0)
      upstream.clear()
      // What was read last may wait for the next full collection, and that for garbage: some ten thousand requests.
      const isGivenBack = async () => {
        const answers = await Promise.all(Array.from({ length: 16 }, () => side.ask()))
        expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
        await Promise.all(answers.map((answer) => answer.text()))
        return memoryOf(pollux.pid) - before < LARGEST_FRAME
      }
      await until("the memory is given back while it serves on", isGivenBack, 60_000)
    }, 120_000)
  }
}
