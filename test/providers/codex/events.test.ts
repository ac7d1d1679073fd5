import { expect, test } from "bun:test"
import { lastResponse } from "../../../src/providers/codex/events.ts"
import { spanOf } from "../../../src/relay/span.ts"
import { amid } from "../../support/spans.ts"

const RESPONSE = '{"id":"resp_1", "n":1e3,"text":"日本 }"}'
const of = (event: string) => {
  const bytes = new Uint8Array(Buffer.from(event))
  const last = lastResponse(amid(bytes))
  expect(lastResponse(spanOf(bytes))).toEqual(last)
  return last
}

test.each([
  `{"type":"response.completed","response":${RESPONSE}}`,
  `{"type":"response.incomplete","response":${RESPONSE}}`,
  `{"type":"response.completed","sequence_number":12,"response":${RESPONSE}}`,
])("%s gives its response's own text", (event) => {
  expect(of(event)).toEqual({ response: JSON.parse(RESPONSE), source: RESPONSE })
})

test.each([
  ["something stands behind the response", `{"type":"response.completed","response":${RESPONSE},"x":{}}`],
  ["something else stands before it", `{"type":"response.completed","x":1,"response":${RESPONSE}}`],
  ["it is written with spaces", `{"type": "response.completed", "response": ${RESPONSE}}`],
  ["a space follows it", `{"type":"response.completed","response":${RESPONSE}} `],
])("where %s, the response has no text of its own", (_, event) => {
  expect(of(event)).toEqual({ response: JSON.parse(RESPONSE), source: null })
})

test.each([
  `{"type":"response.completed","response":${RESPONSE}`,
  `{"type":"response.completed","response":${RESPONSE}}}`,
  `{"type":"response.completed","sequence_number":,"response":${RESPONSE}}`,
  `{"type":"response.completed","sequence_number":1"response":${RESPONSE}}`,
  `{"type":"response.completed","sequence_number":1;"response":${RESPONSE}}`,
  `{"type":"response.completed","response":${RESPONSE}]`,
  '{"type":"response.completed","response":',
  '{"type":"response.completed"}',
  "{}",
  "",
])("%j carries none", (event) => {
  expect(of(event)).toEqual({ response: undefined, source: null })
})
