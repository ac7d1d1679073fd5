import { eq, getTableName, isNotNull, or } from "drizzle-orm"
import { type Cell, type Cipher, isSealed, keyIdOf } from "./cipher.ts"
import type { Connection } from "./connection.ts"
import { Exit, StoreError } from "./error.ts"
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
    const secrets = collect(connection)
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

const collect = (connection: Connection): Secret[] => [
  ...descriptors.flatMap((descriptor) => credentialSecrets(connection, descriptor)),
  ...seedSecrets(connection),
]

function credentialSecrets({ db }: Connection, { table }: Descriptor): Secret[] {
  const name = getTableName(table)
  const rows = db
    .select({
      id: table.id,
      sub: table.sub,
      account: table.account,
      refresh: table.refreshToken,
      access: table.accessToken,
    })
    .from(table)
    .all()
  return rows.flatMap(({ id, sub, account, refresh, access }) => {
    const at = (column: string): Cell => ({ table: name, column, row: [sub, account] })
    const put = (set: { refreshToken: string } | { accessToken: string }) =>
      void db.update(table).set(set).where(eq(table.id, id)).run()
    const secrets: Secret[] = [
      { cell: at("refresh_token"), stored: refresh, put: (refreshToken) => put({ refreshToken }) },
    ]
    if (access !== null && access !== "") {
      secrets.push({ cell: at("access_token"), stored: access, put: (accessToken) => put({ accessToken }) })
    }
    return secrets
  })
}

function seedSecrets({ db }: Connection): Secret[] {
  const rows = db
    .select({ id: seeds.id, hash: seeds.hash, refreshToken: seeds.refreshToken, held: seeds.held })
    .from(seeds)
    .where(or(isNotNull(seeds.refreshToken), isNotNull(seeds.held)))
    .all()
  return rows.flatMap(({ id, hash, refreshToken, held }) => {
    const put = (set: { refreshToken: string } | { held: string }) =>
      void db.update(seeds).set(set).where(eq(seeds.id, id)).run()
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
