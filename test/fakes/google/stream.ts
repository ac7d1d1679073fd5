/** Writes an SSE answer, well or as badly as a fault says. */
import type { ServerResponse } from "node:http"
import type { StreamFault } from "./types.ts"

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Resolves when the answer is complete or the other side has gone. */
export async function writeStream(
  response: ServerResponse,
  events: readonly unknown[],
  fault: StreamFault | null,
  eventDelayMs: number,
): Promise<void> {
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "x-cloudaicompanion-trace-id": "fake-trace",
    "cache-control": "no-cache",
  })
  response.flushHeaders()
  const wire = fault?.kind === "wire" ? fault : null
  const eol = wire?.eol ?? "\n"
  const write = async (text: string) => {
    const bytes = Buffer.from(text)
    const size = wire?.pieceBytes ?? bytes.length
    for (let at = 0; at < bytes.length && !response.closed; at += Math.max(1, size)) {
      if (!response.write(bytes.subarray(at, at + size)))
        await new Promise<void>((resolve) => {
          response.once("drain", resolve)
          response.once("close", resolve)
        })
      if (wire?.pieceBytes !== undefined) await sleep(0)
    }
  }
  const closed = new Promise<void>((resolve) => response.once("close", resolve))
  if (fault?.kind === "empty") return void response.end()
  if (fault?.kind === "raw") return void response.end(Buffer.from(fault.bytes))

  for (const [index, event] of events.entries()) {
    if (response.closed) return
    const text = `data: ${JSON.stringify(event)}${eol}${eol}`
    if (fault !== null && "after" in fault && fault.after === index) {
      switch (fault.kind) {
        case "stall":
          return closed
        case "pause":
          await Promise.race([sleep(fault.ms), closed])
          break
        case "cut":
          if (fault.inEvent === true) await write(text.slice(0, Math.floor(text.length / 2)))
          await sleep(5)
          return void response.destroy()
        case "short":
          return void response.end()
        case "error":
          await write(`data: ${JSON.stringify(fault.event)}${eol}${eol}`)
          return void response.end()
      }
    }
    if (wire?.comments === true) await write(`: comment${eol}${eol}`)
    await write(text)
    await sleep(eventDelayMs)
  }
  if (fault !== null && "after" in fault && fault.after >= events.length) {
    if (fault.kind === "stall") return closed
    if (fault.kind === "cut") {
      await sleep(5)
      return void response.destroy()
    }
    if (fault.kind === "error") await write(`data: ${JSON.stringify(fault.event)}${eol}${eol}`)
  }
  response.end()
}
