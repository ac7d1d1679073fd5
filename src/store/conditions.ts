import { and, eq, sql } from "drizzle-orm"
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core"
import type { Connection } from "./connection.ts"
import { excluded } from "./expressions.ts"
import { once, onDemand } from "./on-demand.ts"
import { plain, scan } from "./plain.ts"
import { cooldowns, modelMarks, quotas, refreshIntents } from "./schema.ts"
import type { Cooldown, ModelMark, QuotaWindow } from "./types.ts"

/** What holds for one credential just now. */
export interface Condition {
  readonly cooldowns: readonly Cooldown[]
  readonly marks: readonly ModelMark[]
  readonly quotas: readonly QuotaWindow[]
  readonly intentAt: number | null
}

type Owned = SQLiteTable & { readonly provider: SQLiteColumn }

/** Cooldowns, model marks, quotas and refresh intents of one provider. Methods that write must run inside a transaction. */
export class Conditions {
  readonly #connection: Connection
  readonly #provider: string
  readonly #queries: () => ReturnType<typeof prepare>

  constructor(connection: Connection, provider: string) {
    this.#connection = connection
    this.#provider = provider
    this.#queries = once(() => prepare(connection, provider))
  }

  of(credential: number): Condition {
    return {
      cooldowns: this.#queries().cooldowns.all({ credential }).map(bare),
      marks: this.#queries().marks.all({ credential }).map(bare),
      quotas: this.#queries().quotas.all({ credential }).map(bare),
      intentAt: this.#queries().intent.get({ credential })?.at ?? null,
    }
  }

  /** As `of`, with all credentials read at once. */
  all(): (credential: number) => Condition {
    const all = <C extends Readonly<Record<string, SQLiteColumn>>>(columns: C, table: Owned) =>
      scan(this.#connection, columns, plain`${table} WHERE ${table.provider} = ?`, this.#provider)
    const cooldownsOf = Map.groupBy(all(columns.cooldown, cooldowns), (row) => row.credential)
    const marksOf = Map.groupBy(all(columns.mark, modelMarks), (row) => row.credential)
    const quotasOf = Map.groupBy(all(columns.quota, quotas), (row) => row.credential)
    const intents = new Map(all(columns.intent, refreshIntents).map((row) => [row.credential, row.at]))
    return (credential) => ({
      cooldowns: cooldownsOf.get(credential)?.map((row) => bare({ ...row, quota: row.quota === 1 })) ?? NONE,
      marks: marksOf.get(credential)?.map(bare) ?? NONE,
      quotas: quotasOf.get(credential)?.map(bare) ?? NONE,
      intentAt: intents.get(credential) ?? null,
    })
  }

  setCooldown(credential: number, cooldown: Cooldown): void {
    this.#queries().setCooldown.run({ credential, ...cooldown })
  }

  endCooldown(credential: number, scope: string): void {
    this.#queries().endCooldown.run({ credential, scope })
  }

  setMark(credential: number, mark: ModelMark): void {
    this.#queries().setMark.run({ credential, ...mark })
  }

  endMark(credential: number, model: string): void {
    this.#queries().endMark.run({ credential, model })
  }

  setQuota(credential: number, quota: QuotaWindow): void {
    this.#queries().setQuota.run({ credential, ...quota })
  }

  intend(credential: number, at: number): void {
    this.#queries().intend.run({ credential, at })
  }

  endIntent(credential: number): void {
    this.#queries().endIntent.run({ credential })
  }

  /** Judgements go; quotas, which are observations, stay. */
  forgive(credential: number): void {
    this.#queries().clearCooldowns.run({ credential })
    this.#queries().clearMarks.run({ credential })
  }

  remove(credential: number): void {
    this.forgive(credential)
    this.#queries().clearQuotas.run({ credential })
    this.endIntent(credential)
  }

  /** Forgets marks that are over, cooldowns that ended so long ago that their strikes count no more, and quotas last seen long ago. */
  prune(marksBefore: number, cooldownsBefore: number, quotasBefore: number): void {
    const older = (table: Owned, column: SQLiteColumn, than: number) =>
      this.#connection.run(
        plain`DELETE FROM ${table} WHERE ${table.provider} = ? AND ${column} < ?`,
        this.#provider,
        than,
      )
    older(quotas, quotas.seenAt, quotasBefore)
    older(modelMarks, modelMarks.until, marksBefore)
    older(cooldowns, cooldowns.until, cooldownsBefore)
  }
}

const bare = <T extends { readonly credential: number }>({ credential: _, ...rest }: T): Omit<T, "credential"> => rest

/** Most credentials have nothing against them. */
const NONE: readonly never[] = []

const { placeholder } = sql

const columns = {
  cooldown: {
    credential: cooldowns.credential,
    scope: cooldowns.scope,
    until: cooldowns.until,
    stated: cooldowns.stated,
    cause: cooldowns.cause,
    strikes: cooldowns.strikes,
    quota: cooldowns.quota,
  },
  mark: { credential: modelMarks.credential, model: modelMarks.model, until: modelMarks.until },
  quota: {
    credential: quotas.credential,
    family: quotas.family,
    name: quotas.name,
    usedPercent: quotas.usedPercent,
    windowMinutes: quotas.windowMinutes,
    resetsAt: quotas.resetsAt,
    seenAt: quotas.seenAt,
  },
  intent: { credential: refreshIntents.credential, at: refreshIntents.at },
}

function prepare({ db }: Connection, provider: string) {
  const credential = placeholder("credential")
  const ofCooldown = and(eq(cooldowns.provider, provider), eq(cooldowns.credential, credential))
  const ofMark = and(eq(modelMarks.provider, provider), eq(modelMarks.credential, credential))
  const ofQuota = and(eq(quotas.provider, provider), eq(quotas.credential, credential))
  const ofIntent = and(eq(refreshIntents.provider, provider), eq(refreshIntents.credential, credential))
  return onDemand({
    cooldowns: () => db.select(columns.cooldown).from(cooldowns).where(ofCooldown).prepare(),
    marks: () => db.select(columns.mark).from(modelMarks).where(ofMark).prepare(),
    quotas: () => db.select(columns.quota).from(quotas).where(ofQuota).prepare(),
    intent: () => db.select(columns.intent).from(refreshIntents).where(ofIntent).prepare(),
    setCooldown: () =>
      db
        .insert(cooldowns)
        .values({
          provider,
          credential,
          scope: placeholder("scope"),
          until: placeholder("until"),
          stated: placeholder("stated"),
          cause: placeholder("cause"),
          strikes: placeholder("strikes"),
          quota: placeholder("quota"),
        })
        .onConflictDoUpdate({
          target: [cooldowns.provider, cooldowns.credential, cooldowns.scope],
          set: {
            until: excluded(cooldowns.until),
            stated: excluded(cooldowns.stated),
            cause: excluded(cooldowns.cause),
            strikes: excluded(cooldowns.strikes),
            quota: excluded(cooldowns.quota),
          },
        })
        .prepare(),
    endCooldown: () =>
      db
        .delete(cooldowns)
        .where(and(ofCooldown, eq(cooldowns.scope, placeholder("scope"))))
        .prepare(),
    clearCooldowns: () => db.delete(cooldowns).where(ofCooldown).prepare(),
    setMark: () =>
      db
        .insert(modelMarks)
        .values({ provider, credential, model: placeholder("model"), until: placeholder("until") })
        .onConflictDoUpdate({
          target: [modelMarks.provider, modelMarks.credential, modelMarks.model],
          set: { until: excluded(modelMarks.until) },
        })
        .prepare(),
    endMark: () =>
      db
        .delete(modelMarks)
        .where(and(ofMark, eq(modelMarks.model, placeholder("model"))))
        .prepare(),
    clearMarks: () => db.delete(modelMarks).where(ofMark).prepare(),
    setQuota: () =>
      db
        .insert(quotas)
        .values({
          provider,
          credential,
          family: placeholder("family"),
          name: placeholder("name"),
          usedPercent: placeholder("usedPercent"),
          windowMinutes: placeholder("windowMinutes"),
          resetsAt: placeholder("resetsAt"),
          seenAt: placeholder("seenAt"),
        })
        .onConflictDoUpdate({
          target: [quotas.provider, quotas.credential, quotas.family, quotas.name],
          set: {
            usedPercent: excluded(quotas.usedPercent),
            windowMinutes: excluded(quotas.windowMinutes),
            resetsAt: excluded(quotas.resetsAt),
            seenAt: excluded(quotas.seenAt),
          },
        })
        .prepare(),
    clearQuotas: () => db.delete(quotas).where(ofQuota).prepare(),
    intend: () =>
      db
        .insert(refreshIntents)
        .values({ provider, credential, at: placeholder("at") })
        .onConflictDoUpdate({
          target: [refreshIntents.provider, refreshIntents.credential],
          set: { at: excluded(refreshIntents.at) },
        })
        .prepare(),
    endIntent: () => db.delete(refreshIntents).where(ofIntent).prepare(),
  })
}
