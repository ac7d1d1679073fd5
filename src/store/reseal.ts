import { eq, getTableName } from "drizzle-orm"
import { type Cell, type Cipher, isSealed, keyIdOf, SEALED_PREFIX } from "./cipher.ts"
import type { Connection } from "./connection.ts"
import { Exit, StoreError } from "./error.ts"
import { plain, scan } from "./plain.ts"
import { type Descriptor, descriptors, seeds } from "./schema.ts"
import { cell as seedCell } from "./seeds.ts"

/** One stored secret and how to replace it. */
interface Secret {
  readonly cell: Cell
  readonly stored: string
  readonly put: (value: string) => void
}

/**
 * Brings every stored secret under `target`: plain ones and those of an earlier key are written anew, in one transaction;
 * those already there are opened, so that a wrong key or an altered value shows at start and not in the middle of a request.
 * @param known the keys that stored secrets may be under, beside `target`
 * @returns how many were written anew
 * @throws StoreError with exit code 78 for secrets under a key that was not given
 */
export function reseal(connection: Connection, target: Cipher, known: readonly Cipher[]): number {
  const ciphers = new Map([...known, target].map((cipher) => [cipher.keyId, cipher]))
  return connection.write("encrypt", "synced", () => {
    const secrets = collect(connection, target)
    refuseUnknown(secrets, target, new Set(ciphers.keys()), connection.path)
    let changed = 0
    for (const { cell, stored, put } of secrets) {
      const plain = isSealed(stored) ? (ciphers.get(keyIdOf(stored))?.open(stored, cell) ?? null) : stored
      if (plain === null || keyIdOf(stored) === target.keyId) continue
      put(target.seal(plain, cell))
      changed++
    }
    return changed
  })
}

function refuseUnknown(
  secrets: readonly Secret[],
  target: Cipher,
  known: ReadonlySet<string | null>,
  path: string,
): void {
  const strange = secrets.map(({ stored }) => keyIdOf(stored)).filter((id) => id !== null && !known.has(id))
  if (strange.length === 0) return
  const keys = [...new Set(strange)].join(", ")
  const have = target.keyId === null ? "basic.encryption_key is not set" : `basic.encryption_key is key ${target.keyId}`
  throw new StoreError(
    `database ${path}: ${strange.length} tokens are encrypted with key ${keys}, but ${have}: set the key they were written with`,
    Exit.config,
  )
}

/** Under no key only what is sealed is of interest: then a start need not look at each plain value. */
const collect = (connection: Connection, target: Cipher): Secret[] => [
  ...descriptors.flatMap((descriptor) => credentialSecrets(connection, descriptor, target.keyId === null)),
  ...seedSecrets(connection),
]

const BEGINNING = SEALED_PREFIX.length

function credentialSecrets(connection: Connection, { table }: Descriptor, sealedOnly: boolean): Secret[] {
  const name = getTableName(table)
  const { id, sub, account, refreshToken: refresh, accessToken: access } = table
  const columns = { id, sub, account, refresh, access }
  const sealed = plain`WHERE ?1 IN (substr(${refresh}, 1, ${BEGINNING}), substr(${access}, 1, ${BEGINNING}))`
  const rows = sealedOnly
    ? scan(connection, columns, `${plain`${table}`} ${sealed}`, SEALED_PREFIX)
    : scan(connection, columns, plain`${table}`)
  return rows.flatMap(({ id, sub, account, refresh, access }) => {
    const at = (column: string): Cell => ({ table: name, column, row: [sub, account] })
    const put = (set: { refreshToken: string } | { accessToken: string }) =>
      void connection.db.update(table).set(set).where(eq(table.id, id)).run()
    const secrets: Secret[] = [
      { cell: at("refresh_token"), stored: refresh, put: (refreshToken) => put({ refreshToken }) },
    ]
    if (access !== null && access !== "") {
      secrets.push({ cell: at("access_token"), stored: access, put: (accessToken) => put({ accessToken }) })
    }
    return secrets
  })
}

function seedSecrets(connection: Connection): Secret[] {
  const { id, hash, refreshToken, held } = seeds
  const from = plain`${seeds} WHERE ${refreshToken} IS NOT NULL OR ${held} IS NOT NULL`
  const rows = scan(connection, { id, hash, refreshToken, held }, from)
  return rows.flatMap(({ id, hash, refreshToken, held }) => {
    const put = (set: { refreshToken: string } | { held: string }) =>
      void connection.db.update(seeds).set(set).where(eq(seeds.id, id)).run()
    const secrets: Secret[] = []
    if (refreshToken !== null) {
      secrets.push({
        cell: seedCell("refresh_token", hash),
        stored: refreshToken,
        put: (value) => put({ refreshToken: value }),
      })
    }
    if (held !== null) {
      secrets.push({ cell: seedCell("held", hash), stored: held, put: (value) => put({ held: value }) })
    }
    return secrets
  })
}
