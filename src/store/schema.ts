/**
 * The tables. Their names stand only here and in the migrations; all other store code speaks of a provider's descriptor.
 *
 * The two credential tables are the Rust project's, column for column (spec geminicli 3.1, codex 2), so that a database can go
 * back and forth between the two programs; their DDL is migration 0. All times in them are RFC 3339 text in UTC. Everything
 * else is ours: times are integer milliseconds since the epoch, rows are keyed by provider and credential id.
 */
import { index, integer, primaryKey, real, sqliteTable, text, unique } from "drizzle-orm/sqlite-core"

/** A credential table; `account` is the column that makes up the identity together with `sub`. */
const credentialTable = (name: string, account: string) =>
  sqliteTable(name, {
    id: integer().primaryKey(),
    email: text(),
    sub: text().notNull(),
    account: text(account).notNull(),
    refreshToken: text("refresh_token").notNull(),
    accessToken: text("access_token"),
    expiry: text().notNull(),
    /** 1 in rotation, 0 not. */
    status: integer().notNull().default(1),
    createdAt: text("created_at").notNull(),
    updatedAt: text("updated_at").notNull(),
  })

/** The plan column of a credential table that has one, as a table of its own, so that both tables have one type. */
const planTable = (name: string, plan: string) => sqliteTable(name, { id: integer().primaryKey(), plan: text(plan) })

export type CredentialTable = ReturnType<typeof credentialTable>
export type PlanTable = ReturnType<typeof planTable>

/** How one provider's identities lie in the database. */
export interface Descriptor {
  readonly provider: string
  /** Name of the credential table, for messages and as associated data of encrypted values. */
  readonly name: string
  readonly table: CredentialTable
  /** Where the plan lives: in the credential table, or (null) in the credential's state row. */
  readonly plan: PlanTable | null
}

const describe = (provider: string, name: string, account: string, plan: string | null): Descriptor => ({
  provider,
  name,
  table: credentialTable(name, account),
  plan: plan === null ? null : planTable(name, plan),
})

/** Every provider the database knows. */
export const descriptors: readonly Descriptor[] = [
  describe("geminicli", "gemini_cli", "project_id", null),
  describe("codex", "codex", "account_id", "chatgpt_plan_type"),
]

/** What we know of a credential beyond its tokens. One row per credential, made when the database is opened or the credential adopted. */
export const states = sqliteTable(
  "credential_states",
  {
    provider: text().notNull(),
    credential: integer().notNull(),
    standing: text({ enum: ["active", "parked", "disabled", "banned"] })
      .notNull()
      .default("active"),
    reason: text(),
    detail: text(),
    url: text(),
    since: integer(),
    until: integer(),
    strikes: integer().notNull().default(0),
    refreshDead: text("refresh_dead"),
    errorAt: integer("error_at"),
    errorStatus: integer("error_status"),
    errorCause: text("error_cause"),
    errorMessage: text("error_message"),
    leasedAt: integer("leased_at"),
    plan: text(),
    /** Lower-case hex SHA-256 of the stored refresh token. */
    tokenHash: text("token_hash").notNull(),
    /** The credential row's `updated_at` as we last wrote or saw it: another text there means that another program wrote. */
    witness: text().notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.provider, t.credential] }),
    index("idx_credential_states_token").on(t.provider, t.tokenHash),
  ],
)

/** Hashes of refresh tokens that were replaced: sending one again can revoke the live family (spec codex 1.9). */
export const spentTokens = sqliteTable(
  "spent_tokens",
  {
    seq: integer().primaryKey(),
    provider: text().notNull(),
    credential: integer().notNull(),
    hash: text().notNull(),
    spentAt: integer("spent_at").notNull(),
  },
  (t) => [
    unique("uq_spent_tokens").on(t.provider, t.hash),
    index("idx_spent_tokens_credential").on(t.provider, t.credential, t.seq),
  ],
)

export const seeds = sqliteTable(
  "seeds",
  {
    id: integer().primaryKey({ autoIncrement: true }),
    provider: text().notNull(),
    /** Lower-case hex SHA-256 of the refresh token handed in; outlives the text. */
    hash: text().notNull(),
    account: text(),
    /** Null once the outcome is final. */
    refreshToken: text("refresh_token"),
    attempts: integer().notNull().default(0),
    intentAt: integer("intent_at"),
    /** Tokens won but not yet identified, as JSON. */
    held: text(),
    outcome: text({ enum: ["pending", "adopted", "known", "failed"] }).notNull(),
    credential: integer(),
    reason: text(),
    detail: text(),
    url: text(),
    createdAt: integer("created_at").notNull(),
    updatedAt: integer("updated_at").notNull(),
  },
  (t) => [
    unique("uq_seeds").on(t.provider, t.hash),
    index("idx_seeds_outcome").on(t.provider, t.outcome, t.id),
    index("idx_seeds_updated").on(t.provider, t.updatedAt),
  ],
)

export const cooldowns = sqliteTable(
  "cooldowns",
  {
    provider: text().notNull(),
    credential: integer().notNull(),
    scope: text().notNull(),
    until: integer().notNull(),
    stated: integer().notNull(),
    cause: text().notNull(),
    strikes: integer().notNull(),
    quota: integer({ mode: "boolean" }).notNull(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.credential, t.scope] })],
)

export const modelMarks = sqliteTable(
  "model_marks",
  {
    provider: text().notNull(),
    credential: integer().notNull(),
    model: text().notNull(),
    until: integer().notNull(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.credential, t.model] })],
)

export const quotas = sqliteTable(
  "quotas",
  {
    provider: text().notNull(),
    credential: integer().notNull(),
    family: text().notNull(),
    name: text().notNull(),
    usedPercent: real("used_percent").notNull(),
    windowMinutes: integer("window_minutes"),
    resetsAt: integer("resets_at"),
    seenAt: integer("seen_at").notNull(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.credential, t.family, t.name] })],
)

/** A refresh that was begun; the row goes when its answer is recorded. One that is found at start makes the token ambiguous. */
export const refreshIntents = sqliteTable(
  "refresh_intents",
  {
    provider: text().notNull(),
    credential: integer().notNull(),
    at: integer().notNull(),
  },
  (t) => [primaryKey({ columns: [t.provider, t.credential] })],
)

export const bindings = sqliteTable(
  "bindings",
  {
    provider: text().notNull(),
    session: text().notNull(),
    credential: integer().notNull(),
    usedAt: integer("used_at").notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.provider, t.session] }),
    index("idx_bindings_used").on(t.provider, t.usedAt),
    index("idx_bindings_credential").on(t.provider, t.credential),
  ],
)

/** Highest credential id ever removed: SQLite would give it out again, and late writes for the old one would hit the new. */
export const idFloors = sqliteTable("id_floors", {
  provider: text().primaryKey(),
  floor: integer().notNull(),
})

/** Usage per hour, later folded into days. `credential` 0 and `principal` "" stand for none. */
export const usage = sqliteTable(
  "usage_rollups",
  {
    grain: text({ enum: ["hour", "day"] }).notNull(),
    start: integer().notNull(),
    provider: text().notNull(),
    model: text().notNull(),
    credential: integer().notNull(),
    principal: text().notNull(),
    requests: integer().notNull(),
    errors: integer().notNull(),
    attempts: integer().notNull(),
    inputTokens: integer("input_tokens").notNull(),
    outputTokens: integer("output_tokens").notNull(),
    cachedTokens: integer("cached_tokens").notNull(),
    reasoningTokens: integer("reasoning_tokens").notNull(),
  },
  (t) => [primaryKey({ columns: [t.grain, t.start, t.provider, t.model, t.credential, t.principal] })],
)

/** One row that is rewritten to learn whether the database can be written again after a failure. */
export const probe = sqliteTable("write_probe", {
  id: integer().primaryKey(),
  at: integer().notNull(),
})
