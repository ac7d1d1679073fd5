import { createSign, generateKeyPairSync } from "node:crypto"

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const { length } = body
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}
export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts)
export const hex = (text: string): Buffer => Buffer.from(text, "hex")
export const time = (at: number): Buffer =>
  der(0x18, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]|\.\d+/g, "")}`, "latin1"))

export const ECDSA_SHA256 = sequence(hex("06082a8648ce3d040302"))
const COMMON_NAME = hex("0603550403")
export const SUBJECT_ALT_NAME = hex("0603551d11")
export const BASIC_CONSTRAINTS = hex("0603551d13")
export const TRUE = hex("0101ff")
export const DAY = 86_400_000

/** A certificate for localhost and 127.0.0.1 that signs itself and may be trusted as a root (RFC 5280, the least of it). */
export function selfSigned(): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const name = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from("pollux test")))))
  const names = sequence(der(0x82, Buffer.from("localhost")), der(0x87, Buffer.from([127, 0, 0, 1])))
  const body = sequence(
    der(0xa0, hex("020102")),
    hex("020101"),
    ECDSA_SHA256,
    name,
    sequence(time(Date.now() - DAY), time(Date.now() + DAY)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        sequence(SUBJECT_ALT_NAME, der(0x04, names)),
        sequence(BASIC_CONSTRAINTS, TRUE, der(0x04, sequence(TRUE))),
      ),
    ),
  )
  const signature = createSign("sha256").update(body).sign(privateKey)
  const whole = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature))
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  }
}
