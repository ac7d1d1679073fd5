import { plainAddress, UNKNOWN } from "../../src/http/address.ts"
import type { Answered, ClientRequest } from "../../src/http/ports.ts"
import type { Outflow } from "../../src/relay/ports.ts"
import { Reply } from "../../src/relay/reply.ts"

/** A `Request` as the edge is handed it. @param welcome hears that its connection may rest for longer */
export function clientRequest(
  request: Request,
  address = "127.0.0.1",
  welcome: () => void = () => undefined,
): ClientRequest {
  const { method, headers, signal, body, url } = request
  const { pathname, search } = new URL(url)
  const target = { path: pathname, query: search.slice(1) }
  return {
    method,
    target,
    headers,
    signal,
    length: lengthOf(headers, body),
    body,
    bytes: () => request.bytes(),
    address: plainAddress(address) ?? UNKNOWN,
    welcome,
  }
}

function lengthOf(headers: Headers, body: Request["body"]): number | null {
  const length = headers.get("content-length")
  return length === null ? (body === null ? 0 : null) : Number(length)
}

/** What came of a request, as a `Response`. */
export async function responseOf(answered: Answered | Promise<Answered>): Promise<Response> {
  const answer = await answered
  if (!(answer instanceof Reply)) return answer
  const { status, fields, own, body } = answer
  const whole = typeof body === "string" || body instanceof Uint8Array
  return new Response(whole ? new Uint8Array(Buffer.from(body)) : streamOf(body), {
    status,
    headers: { ...fields, ...own },
  })
}

/** A `Response` as the relay would give it. */
export function replyOf({ status, headers, body }: Response): Reply {
  return new Reply(status, Object.fromEntries(headers), body === null ? "" : outflowOf(body))
}

function streamOf(outflow: Outflow): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      outflow.start({
        write(bytes) {
          controller.enqueue(new Uint8Array(bytes))
          return bytes.length
        },
        close: () => controller.close(),
      })
    },
  })
}

function outflowOf(body: ReadableStream<Uint8Array>): Outflow {
  return {
    start(sink) {
      void (async () => {
        for await (const chunk of body) sink.write(chunk)
        sink.close()
      })()
    },
  }
}
