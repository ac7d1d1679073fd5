import { createSign, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto"
import {
  BASIC_CONSTRAINTS,
  type Certificate,
  DAY,
  der,
  ECDSA_SHA256,
  hex,
  SUBJECT_ALT_NAME,
  sequence,
  TRUE,
  time,
} from "../../support/certificate.ts"

export interface Leaf {
  /** DNS names, and IPv4 addresses as four bytes. */
  readonly names: readonly (string | readonly number[])[]
  /** The subject's common name. */
  readonly common?: string
  /** From when until when it is valid, in days from now. */
  readonly days?: readonly [number, number]
}

export interface Authority {
  readonly cert: string
  issue(leaf: Leaf): Certificate
}

const named = (name: string): Buffer => sequence(der(0x31, sequence(hex("0603550403"), der(0x0c, Buffer.from(name)))))

interface Content {
  readonly issuer: string
  readonly subject: string
  readonly days: readonly [number, number]
  readonly key: KeyObject
  readonly extension: Buffer
}

/** A certificate as RFC 5280 has it, the least of it. */
function signed({ issuer, subject, days: [from, to], key, extension }: Content, by: KeyObject): string {
  const now = Date.now()
  const body = sequence(
    der(0xa0, hex("020102")),
    der(0x02, Buffer.from([1]), randomBytes(8)),
    ECDSA_SHA256,
    named(issuer),
    sequence(time(now + from * DAY), time(now + to * DAY)),
    named(subject),
    key.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(extension)),
  )
  const signature = createSign("sha256").update(body).sign(by)
  const whole = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature))
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}

/** A root of its own that issues certificates for servers. */
export function authority(issuer: string): Authority {
  const root = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const isAuthority = sequence(BASIC_CONSTRAINTS, TRUE, der(0x04, sequence(TRUE)))
  return {
    cert: signed(
      { issuer, subject: issuer, days: [-30, 30], key: root.publicKey, extension: isAuthority },
      root.privateKey,
    ),
    issue({ names, common = "server", days = [-1, 1] }) {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
      const list = names.map((name) =>
        typeof name === "string" ? der(0x82, Buffer.from(name)) : der(0x87, Buffer.from(name)),
      )
      const extension = sequence(SUBJECT_ALT_NAME, der(0x04, sequence(...list)))
      return {
        cert: signed({ issuer, subject: common, days, key: publicKey, extension }, root.privateKey),
        key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      }
    },
  }
}
