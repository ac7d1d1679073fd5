/**
 * Tokens at rest: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce per value, in an envelope that names its key:
 * `pxe1:KEYID:BASE64URL(nonce | ciphertext | tag)`. The place of a value is bound to it as associated data, so that one
 * moved to another row or column does not open. A key that seals 2^32 values should be replaced; at one refresh per second
 * that is after a hundred years.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"
import { Exit, StoreError } from "./error.ts"

/** Where a value stands. `row` is what identifies the row for good, not its number. */
export interface Cell {
  readonly table: string
  readonly column: string
  readonly row: readonly string[]
}

export interface Cipher {
  /** First 8 hex digits of a hash of the key; null when values are stored plain. */
  readonly keyId: string | null
  /** What is stored for a value. @throws StoreError for a value that looks like an envelope */
  seal(plain: string, cell: Cell): string
  /** The value that was stored. @throws StoreError for one that this cipher did not make */
  open(stored: string, cell: Cell): string
}

/** How every envelope begins. */
export const SEALED_PREFIX = "pxe1:"
const ALGORITHM = "aes-256-gcm"
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_BYTES = 32

/** Whether a stored value is an envelope. No token may look like one. */
export const isSealed = (text: string): boolean => text.startsWith(SEALED_PREFIX)

/** Id of the key that an envelope names, or null when it is none. */
export const keyIdOf = (text: string): string | null => (isSealed(text) ? (text.split(":")[1] ?? "") : null)

/**
 * A key as an operator writes it: 64 hex digits, or base64 (either alphabet) of 32 bytes.
 * @throws StoreError with exit code 78, without showing the text
 */
export function parseKey(text: string): Buffer {
  const trimmed = text.trim()
  if (/^[0-9a-fA-F]{64}$/.test(trimmed)) return Buffer.from(trimmed, "hex")
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) {
    const key = Buffer.from(trimmed, "base64")
    if (key.length === KEY_BYTES) return key
  }
  throw new StoreError(
    "basic.encryption_key: expected 64 hex digits or base64 of 32 bytes (a passphrase is too weak); make one with `openssl rand -hex 32`",
    Exit.config,
  )
}

const describe = (cell: Cell): string => `${cell.table}.${cell.column}`

function refuseEnvelope(plain: string, cell: Cell): void {
  if (isSealed(plain))
    throw new StoreError(`a value for ${describe(cell)} is no token: it looks encrypted`, Exit.dataError)
}

/** Stores values as they are, interchangeable with the Rust project. */
export const plainCipher: Cipher = {
  keyId: null,
  seal(plain, cell) {
    refuseEnvelope(plain, cell)
    return plain
  },
  open(stored, cell) {
    if (!isSealed(stored)) return stored
    throw new StoreError(
      `${describe(cell)} is encrypted with key ${keyIdOf(stored)}: set basic.encryption_key to that key`,
      Exit.config,
    )
  },
}

const associated = (cell: Cell): Buffer => Buffer.from(JSON.stringify([cell.table, cell.column, ...cell.row]))

const idOf = (key: Buffer): string =>
  createHash("sha256").update("pollux encryption key id\0").update(key).digest("hex").slice(0, 8)

/** What tells one key from another without giving it away; null for none. @throws StoreError as `parseKey` does */
export const keyId = (keyText: string | null): string | null => (keyText === null ? null : idOf(parseKey(keyText)))

/** @throws StoreError when the key has not the right form */
export function createCipher(keyText: string | null): Cipher {
  if (keyText === null) return plainCipher
  const key = parseKey(keyText)
  const keyId = idOf(key)
  return {
    keyId,
    seal(plain, cell) {
      refuseEnvelope(plain, cell)
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES }).setAAD(associated(cell))
      const sealed = Buffer.concat([nonce, cipher.update(plain, "utf8"), cipher.final(), cipher.getAuthTag()])
      return `${SEALED_PREFIX}${keyId}:${sealed.toString("base64url")}`
    },
    open(stored, cell) {
      const id = keyIdOf(stored)
      if (id === null)
        throw new StoreError(`${describe(cell)} holds a plain value where an encrypted one is due`, Exit.dataError)
      if (id !== keyId) {
        throw new StoreError(
          `${describe(cell)} is encrypted with key ${id}, but basic.encryption_key is key ${keyId}: set the key it was written with`,
          Exit.config,
        )
      }
      const plain = unseal(key, stored.slice(SEALED_PREFIX.length + id.length + 1), cell)
      refuseEnvelope(plain, cell)
      return plain
    },
  }
}

function unseal(key: Buffer, body: string, cell: Cell): string {
  const sealed = Buffer.from(body, "base64url")
  const altered = () =>
    new StoreError(
      `a value of ${describe(cell)} was altered or moved from another row: restore a backup, or delete the row`,
      Exit.dataError,
    )
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw altered()
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(associated(cell)).setAuthTag(sealed.subarray(end))
  try {
    return decipher.update(sealed.subarray(NONCE_BYTES, end), undefined, "utf8") + decipher.final("utf8")
  } catch {
    throw altered()
  }
}

/** The cipher in use, which a key change replaces while the store is open. */
export class Vault {
  cipher: Cipher

  constructor(cipher: Cipher) {
    this.cipher = cipher
  }

  seal(plain: string, cell: Cell): string {
    return this.cipher.seal(plain, cell)
  }

  open(stored: string, cell: Cell): string {
    return this.cipher.open(stored, cell)
  }
}

/** Lower-case hex SHA-256: refresh tokens are long and random, so the plain hash gives nothing away. */
export const tokenHash = (token: string): string => createHash("sha256").update(token).digest("hex")
