import type { Coding } from "./decoders.ts"
import { HttpError } from "./ports.ts"

/** Content codings by name; `x-gzip` is an old name of gzip (RFC 9110, 8.4.1.3). */
const CODINGS: Readonly<Record<string, Coding>> = {
  gzip: "gzip",
  "x-gzip": "gzip",
  deflate: "deflate",
  br: "br",
  zstd: "zstd",
}

/**
 * The one coding a body is in, or null for none.
 * @throws HttpError unsupported_media for an unknown coding, and for several one upon another: no client needs them, and each
 *   layer multiplies what a few bytes can unfold to.
 */
export function codingOf(header: string | null): Coding | null {
  if (header === null) return null
  const names = header
    .split(",")
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== "" && name !== "identity")
  const [name, second] = names
  if (name === undefined) return null
  const coding = Object.hasOwn(CODINGS, name) ? CODINGS[name] : undefined
  if (coding === undefined || second !== undefined) {
    throw new HttpError({
      kind: "unsupported_media",
      message: "unsupported content-encoding: send one of gzip, deflate, br, zstd, or none",
    })
  }
  return coding
}

/**
 * Undoes one coding.
 * @param limit largest decoded size in bytes
 * @throws HttpError too_large beyond the limit, bad_request for data that is damaged, cut short or not in that coding
 */
export async function decode(body: Uint8Array, coding: Coding, limit: number): Promise<Uint8Array> {
  try {
    // Loaded with the first body that needs one: the runtime's zlib would cost each start 2 milliseconds.
    const { DECODERS } = await import("./decoders.ts")
    return await DECODERS[coding](unshared(body), limit)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new HttpError({ kind: "too_large", message: "request body too large" })
    }
    throw new HttpError({ kind: "bad_request", message: `the request body is not valid ${coding} data` })
  }
}

/** Bytes as the decoders want them typed: a view of the same memory, unless that is shared between threads. */
function unshared(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteOffset, length } = bytes
  return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, length) : new Uint8Array(bytes)
}
