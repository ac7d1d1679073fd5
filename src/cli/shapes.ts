/** What the server's answers must look like to be believed; members that are not listed are let through. */
import { type Static, type TSchema, Type } from "@sinclair/typebox"

export const PROVIDERS = ["geminicli", "codex"] as const
export type ProviderName = (typeof PROVIDERS)[number]

export function isProvider(text: string): text is ProviderName {
  return PROVIDERS.some((name) => name === text)
}

const nullable = <T extends TSchema>(shape: T) => Type.Union([shape, Type.Null()])
/** Wall time in milliseconds; what `Date` can show, so that nothing else needs to check. */
const Moment = Type.Number({ minimum: -8.64e15, maximum: 8.64e15 })

export const QuotaShape = Type.Object({
  family: Type.String(),
  name: Type.String(),
  usedPercent: Type.Number(),
  windowMinutes: nullable(Type.Number()),
  resetsAt: nullable(Moment),
  seenAt: Moment,
})
export type Quota = Static<typeof QuotaShape>

export const CredentialShape = Type.Object({
  id: Type.Integer(),
  email: nullable(Type.String()),
  account: Type.String(),
  plan: nullable(Type.String()),
  state: Type.String(),
  reason: nullable(Type.String()),
  detail: nullable(Type.String()),
  url: nullable(Type.String()),
  until: nullable(Moment),
  inFlight: Type.Integer(),
  expiresAt: nullable(Moment),
  refreshDead: nullable(Type.String()),
  ambiguousRefresh: Type.Boolean(),
  cooldowns: Type.Array(Type.Object({ scope: Type.String(), until: Moment, stated: Moment, cause: Type.String() })),
  lacks: Type.Array(Type.Object({ model: Type.String(), until: Moment })),
  quotas: Type.Array(QuotaShape),
  lastError: nullable(
    Type.Object({
      at: Moment,
      status: nullable(Type.Integer()),
      cause: Type.String(),
      message: Type.String(),
    }),
  ),
  lastLeasedAt: nullable(Moment),
})
export type Credential = Static<typeof CredentialShape>

export const OutcomeShape = Type.Object({
  id: Type.String(),
  status: Type.String(),
  credential: Type.Optional(nullable(Type.Integer())),
  email: Type.Optional(nullable(Type.String())),
  reason: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
  url: Type.Optional(nullable(Type.String())),
})
export type Outcome = Static<typeof OutcomeShape>

export const SeedShape = Type.Composite([OutcomeShape, Type.Object({ createdAt: Moment, updatedAt: Moment })])
export type SeedRecord = Static<typeof SeedShape>

/** `GET /{provider}/resource:list` */
export const ListShape = Type.Object({
  provider: Type.String(),
  counts: Type.Record(Type.String(), Type.Integer()),
  models: Type.Record(Type.String(), Type.Object({ ready: Type.Integer() })),
  credentials: Type.Array(CredentialShape),
  seeds: Type.Array(SeedShape),
})
export type List = Static<typeof ListShape>

/** `POST /{provider}/resource:add` */
export const AddedShape = Type.Object({
  accepted: Type.Integer(),
  blanks: Type.Integer(),
  duplicates: Type.Integer(),
  seeds: Type.Array(OutcomeShape),
})

/** `POST /{provider}/resource:disable` and its like */
export const ChangedShape = Type.Object({ ok: Type.Literal(true), credential: nullable(CredentialShape) })

/** `POST /{provider}/resource:explain` */
export const ExplainedShape = Type.Object({
  model: Type.String(),
  session: nullable(Type.String()),
  credentials: Type.Array(
    Type.Object({
      id: Type.Integer(),
      email: nullable(Type.String()),
      usable: Type.Boolean(),
      why: Type.String(),
      until: nullable(Moment),
      sticky: Type.Boolean(),
    }),
  ),
})
export type Explained = Static<typeof ExplainedShape>

/** `POST /{provider}/login` */
export const BegunShape = Type.Object({
  id: Type.String(),
  url: Type.String(),
  redirect_uri: Type.String(),
  expires: Moment,
})

/** `POST /{provider}/login:device` */
export const DeviceShape = Type.Object({
  id: Type.String(),
  user_code: Type.String(),
  verification_url: Type.String(),
  expires_in: Type.Number(),
  expires: Moment,
})

/** `GET /{provider}/login/{id}` and `POST /{provider}/login:finish` */
export const LoginShape = Type.Object({
  id: Type.String(),
  status: Type.Union([Type.Literal("pending"), Type.Literal("done"), Type.Literal("failed")]),
  credential: Type.Optional(nullable(Type.Integer())),
  email: Type.Optional(nullable(Type.String())),
  reason: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
  url: Type.Optional(nullable(Type.String())),
})
export type LoginState = Static<typeof LoginShape>
