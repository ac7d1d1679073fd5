import { promisify } from "node:util"
import zlib from "node:zlib"
import { HttpError } from "./ports.ts"

type Coding = "gzip" | "deflate" | "br" | "zstd"

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

const gunzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const inflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflate)
const inflateRaw = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflateRaw)
const unbrotli = promisify<zlib.InputType, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress)
const unzstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)

/** Each decoder works off the main thread and stops as soon as its output passes `maxOutputLength`. */
const DECODERS: {
  readonly [K in Coding]: (body: Uint8Array<ArrayBuffer>, maxOutputLength: number) => Promise<Uint8Array>
} = {
  gzip: (body, maxOutputLength) => gunzip(body, { maxOutputLength }),
  // "deflate" means zlib (RFC 9110, 8.4.1.2), but bare deflate data is sent under that name too.
  deflate: (body, maxOutputLength) => (isZlib(body) ? inflate : inflateRaw)(body, { maxOutputLength }),
  br: (body, maxOutputLength) => unbrotli(body, { maxOutputLength }),
  zstd: async (body, maxOutputLength) => {
    // This decoder bounds its output but takes a truncated frame for a complete one; the other one is the reverse.
    await unzstd(body, { maxOutputLength })
    return Bun.zstdDecompress(body)
  },
}

/** RFC 1950, 2.2: method 8, and the first two bytes together a multiple of 31. */
function isZlib(body: Uint8Array): boolean {
  const [first = 0, second = 0] = body
  return (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0
}

/**
 * Undoes one coding.
 * @param limit largest decoded size in bytes
 * @throws HttpError too_large beyond the limit, bad_request for data that is damaged, cut short or not in that coding
 */
export async function decode(body: Uint8Array<ArrayBuffer>, coding: Coding, limit: number): Promise<Uint8Array> {
  try {
    return await DECODERS[coding](body, limit)
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
      throw new HttpError({ kind: "too_large", message: "request body too large" })
    }
    throw new HttpError({ kind: "bad_request", message: `the request body is not valid ${coding} data` })
  }
}
