/** What the first bytes of a TLS connection tell everybody (RFC 8446 section 4.1.2). */
export interface ClientHello {
  /** The server's name (RFC 6066 section 3); null if none is told. */
  readonly name: string | null
  /** The protocols that are offered (RFC 7301), best first; null if nothing is said of them. */
  readonly protocols: readonly string[] | null
  /** Whether a session of before is to be taken up again (RFC 8446 section 4.2.11). */
  readonly resumes: boolean
}

const HANDSHAKE = 22
const SERVER_NAME = 0
const PROTOCOLS = 16
const PRE_SHARED_KEY = 41

/** @returns null while it has not come whole */
export function readClientHello(bytes: Buffer): ClientHello | null {
  if (bytes.length < 5) return null
  if (bytes[0] !== HANDSHAKE) throw new Error("this is no TLS handshake")
  if (bytes.length < 5 + bytes.readUInt16BE(3)) return null
  // Behind the record's head, the message's, the version and the random bytes.
  let at = 5 + 4 + 2 + 32
  at += 1 + bytes.readUInt8(at)
  at += 2 + bytes.readUInt16BE(at)
  at += 1 + bytes.readUInt8(at)
  const end = at + 2 + bytes.readUInt16BE(at)
  at += 2
  let name: string | null = null
  let protocols: readonly string[] | null = null
  let resumes = false
  while (at < end) {
    const type = bytes.readUInt16BE(at)
    const data = bytes.subarray(at + 4, at + 4 + bytes.readUInt16BE(at + 2))
    at += 4 + data.length
    if (type === SERVER_NAME) name = data.toString("latin1", 5, 5 + data.readUInt16BE(3))
    if (type === PROTOCOLS) protocols = [...listed(data.subarray(2))]
    if (type === PRE_SHARED_KEY) resumes = true
  }
  return { name, protocols, resumes }
}

function* listed(data: Buffer): Generator<string> {
  for (let at = 0; at < data.length; at += 1 + data.readUInt8(at)) {
    yield data.toString("latin1", at + 1, at + 1 + data.readUInt8(at))
  }
}
