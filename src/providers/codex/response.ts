/** Takes a 2xx answer: which reader it gets, and which headers the client sees (spec codex 4, 5). */
import type { Answer, Opened } from "../../relay/ports.ts"
import { JsonAssembler, StreamAssembler } from "./assembler.ts"
import type { CodexCall } from "./call.ts"
import { ResponseFramer } from "./framer.ts"
import { limitsOfHeaders } from "./limits.ts"
import { AnswerNotes } from "./notes.ts"
import { answerHeaders } from "./upstream.ts"

/** @param scrub the text of an error event as the client may see it */
export function openAnswer(
  response: Answer,
  call: CodexCall,
  wall: () => number,
  scrub: (text: string) => string,
): Opened {
  const { headers } = response
  const fields = headers.toJSON()
  const notes = new AnswerNotes(limitsOfHeaders(fields, wall()), wall)
  const isJson = call.endpoint === "compact" || fields["content-type"]?.includes("json") === true
  const clientHeaders = answerHeaders(fields, call.stream)
  if (isJson) {
    const assembler = new JsonAssembler(notes, headers, call.stream)
    return { mode: "unary", response, assembler, headers: clientHeaders }
  }
  if (call.stream) {
    const framer = new ResponseFramer({ notes, headers, codex: call.caller.codex, scrub })
    return { mode: "stream", response, framer, headers: clientHeaders }
  }
  return { mode: "unary", response, assembler: new StreamAssembler(notes, headers), headers: clientHeaders }
}
