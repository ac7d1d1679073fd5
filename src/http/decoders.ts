import { promisify } from "node:util"
import zlib from "node:zlib"

export type Coding = "gzip" | "deflate" | "br" | "zstd"

const gunzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const inflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflate)
const inflateRaw = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflateRaw)
const unbrotli = promisify<zlib.InputType, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress)
const unzstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)

/** Each decoder works off the main thread and stops as soon as its output passes `maxOutputLength`. */
export const DECODERS: {
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
