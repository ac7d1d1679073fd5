import type { HeaderFields } from "../../relay/headers.ts"
import { errorBody } from "../faults.ts"

/** What a request can be refused for before anybody knows which API it is for, by status (RFC 9110 section 15). */
const CODES = {
  400: "BAD_REQUEST",
  408: "REQUEST_TIMEOUT",
  414: "URI_TOO_LONG",
  417: "EXPECTATION_FAILED",
  431: "HEADERS_TOO_LARGE",
  501: "NOT_IMPLEMENTED",
  505: "HTTP_VERSION_NOT_SUPPORTED",
} as const

export type RefusalStatus = keyof typeof CODES

/** A request that is not understood, or not for sure: it is answered, and its connection ends. */
export class Refusal extends Error {
  override readonly name = "Refusal"

  /** @param message for people; holds nothing of what the client sent */
  constructor(
    readonly status: RefusalStatus,
    message: string,
  ) {
    super(message)
  }

  /** @param id names the request in the answer and in the log */
  answer(id: string): { readonly status: number; readonly fields: HeaderFields; readonly body: string } {
    return {
      status: this.status,
      fields: { ...FIELDS, "x-request-id": id },
      body: errorBody(CODES[this.status], this.message),
    }
  }
}

const FIELDS: Readonly<Record<string, string>> = {
  "content-type": "application/json",
  "cache-control": "no-store",
  connection: "close",
}
