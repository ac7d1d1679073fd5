/**
 * Every token, key, code and e-mail address that a test makes up is registered here, so that at the end all captured output
 * can be searched for it (`leaks.ts`). Only complete values count: masked forms are what should be there.
 */
import { randomBytes } from "node:crypto"
import { appendFileSync } from "node:fs"
import { join } from "node:path"

/** Shorter ones would be found by chance. */
const SHORTEST = 8

const known = new Set<string>()

/** Registers a secret and gives it back, so that it can be wrapped around any expression. */
export function secret<T extends string>(value: T): T {
  if (value.length < SHORTEST)
    throw new Error(`"${value}" is too short to be looked for; use at least ${SHORTEST} characters`)
  if (known.has(value)) return value
  known.add(value)
  const record = process.env.POLLUX_TEST_RECORD
  if (record !== undefined) appendFileSync(join(record, `secrets-${process.pid}.jsonl`), `${JSON.stringify(value)}\n`)
  return value
}

/** A fresh key for a Pollux under test. */
export function freshKey(): string {
  return secret(`key-${randomBytes(18).toString("base64url")}`)
}

export function knownSecrets(): ReadonlySet<string> {
  return known
}
