import { expect, test } from "bun:test"
import fc from "fast-check"
import { type FeedEvent, readFeed } from "../../src/cli/feed.ts"

function streamOf(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

async function read(...chunks: readonly string[]): Promise<readonly FeedEvent[]> {
  const bytes = chunks.map((chunk) => new TextEncoder().encode(chunk))
  const events: FeedEvent[] = []
  for await (const event of readFeed(streamOf(bytes))) events.push(event)
  return events
}

test("events are read, comments passed over, and what breaks off is dropped", async () => {
  const text = ': keep-alive\n\nevent: snapshot\ndata: {"a":1}\n\ndata: x\ndata: y\r\n\r\nid: 7\n\nevent: seed\ndata: {'
  expect(await read(text)).toEqual([
    { event: "snapshot", data: '{"a":1}' },
    { event: "message", data: "x\ny" },
  ])
})

test("wherever the bytes are cut, the events are the same", async () => {
  const text = 'event: credential\ndata: {"who":"日本語😀"}\n\n: c\n\nevent: removed\ndata: {"id":3}\n\n'
  const whole = await read(text)
  const bytes = new TextEncoder().encode(text)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 6 }), async (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
      const parts = edges.slice(1).map((end, i) => bytes.slice(edges[i], end))
      const events: FeedEvent[] = []
      for await (const event of readFeed(streamOf(parts))) events.push(event)
      expect(events).toEqual([...whole])
    }),
  )
})
