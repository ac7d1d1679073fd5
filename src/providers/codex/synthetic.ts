/** Events that Pollux itself puts into a stream (spec codex 5): the end of a broken one, and signs of life. */
import type { Failure } from "../../relay/ports.ts"

const ENCODER = new TextEncoder()

/** The CLI counts data events as life and comments not; strict SDKs refuse unknown types and skip comments. */
export const KEEP_ALIVE_CODEX = ENCODER.encode('event: codex.keepalive\ndata: {"type":"codex.keepalive"}\n\n')
export const KEEP_ALIVE_OTHER = ENCODER.encode(": keep-alive\n\n")

/** Closes a frame of which a part was sent. */
export const BLANK = "\n\n"

interface Ending {
  readonly code: string
  readonly message: string
}

/** What a broken stream's end is called; null is a clean end before the last event. */
function endingOf(fault: Failure | null): Ending {
  if (fault?.kind === "timeout") {
    return { code: "upstream_timeout", message: "The upstream stopped sending before response.completed." }
  }
  return { code: "stream_incomplete", message: "The stream was closed before response.completed." }
}

/** The last event of a stream that broke: Codex clients retry on `response.failed`, others know `error`. */
export function endOfBroken(
  fault: Failure | null,
  codex: boolean,
  responseId: string | null,
  sequence: number,
): string {
  const { code, message } = endingOf(fault)
  if (codex) {
    const error = { code: "server_error", message }
    const response = { id: responseId ?? "", object: "response", status: "failed", error, output: [] }
    return frame("response.failed", { type: "response.failed", sequence_number: sequence, response })
  }
  // The flat members are the API reference's, the object is what the API sends: clients read one or the other.
  const error = { type: "server_error", code, message, param: null }
  return frame("error", { type: "error", sequence_number: sequence, code, message, param: null, error })
}

/** A whole response as the stream that a client asked for and the upstream did not give. */
export function streamOf(response: Readonly<Record<string, unknown>>): string {
  const created = { ...response, status: "in_progress", output: [], usage: null }
  const type = response.status === "incomplete" ? "response.incomplete" : "response.completed"
  return (
    frame("response.created", { type: "response.created", sequence_number: 0, response: created }) +
    frame(type, { type, sequence_number: 1, response })
  )
}

function frame(name: string, event: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(event)}\n\n`
}
