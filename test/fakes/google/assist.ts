/** loadCodeAssist, onboardUser and its long-running operations, retrieveUserQuota. */
import { consumerInvalid, googleError, invalidArgument, preconditionFailed } from "./errors.ts"
import type { Answer } from "./oauth.ts"
import type { FakeAccount } from "./types.ts"
import type { World } from "./world.ts"

type Json = Readonly<Record<string, unknown>>

const TIER_NAMES: Readonly<Record<string, string>> = {
  "free-tier": "Gemini Code Assist for individuals",
  "legacy-tier": "Gemini Code Assist",
  "standard-tier": "Gemini Code Assist Standard",
}

const tier = (id: string, extra: Json = {}) => ({
  id,
  name: TIER_NAMES[id] ?? id,
  description: TIER_NAMES[id] ?? id,
  userDefinedCloudaicompanionProject: id !== "free-tier",
  ...extra,
})

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null)

function badMetadata(body: Json): Answer | null {
  const metadata = body.metadata
  if (typeof metadata !== "object" || metadata === null) return null
  const known = new Set([
    "ideType",
    "platform",
    "pluginType",
    "duetProject",
    "ideVersion",
    "pluginVersion",
    "ideName",
    "updateChannel",
  ])
  const odd = Object.keys(metadata).find((key) => !known.has(key))
  return odd === undefined ? null : { status: 400, body: invalidArgument(`Unknown name "${odd}" at 'metadata'`) }
}

const mayUse = (account: FakeAccount, project: string) =>
  project === account.project || account.userProjects.includes(project)

export function loadCodeAssist(account: FakeAccount, body: Json): Answer {
  const bad = badMetadata(body)
  if (bad !== null) return bad
  const wanted = text(body.cloudaicompanionProject)
  if (wanted !== null && account.tier !== "free-tier" && !mayUse(account, wanted))
    return { status: 403, body: consumerInvalid(wanted) }
  return {
    status: 200,
    body: {
      ...(account.onboarded ? { currentTier: tier(account.tier, { hasOnboardedPreviously: true }) } : {}),
      allowedTiers: account.onboarded || account.tier !== "" ? [tier(account.tier, { isDefault: true })] : [],
      ...(account.ineligible.length === 0 ? {} : { ineligibleTiers: account.ineligible }),
      ...(account.onboarded && account.project !== null ? { cloudaicompanionProject: account.project } : {}),
      ...(account.onboarded && account.project === null && wanted !== null ? { cloudaicompanionProject: wanted } : {}),
      gcpManaged: account.tier !== "free-tier",
    },
  }
}

export function onboardUser(world: World, account: FakeAccount, body: Json): Answer {
  const bad = badMetadata(body)
  if (bad !== null) return bad
  if (text(body.tierId) === null) return { status: 400, body: invalidArgument("tier_id is required") }
  if (body.tierId !== account.tier && body.tierId !== "legacy-tier")
    return { status: 400, body: invalidArgument(`Tier ${String(body.tierId)} is not allowed`) }
  const wanted = text(body.cloudaicompanionProject)
  if (account.tier === "free-tier" && wanted !== null) return { status: 400, body: preconditionFailed() }
  if (account.tier !== "free-tier" && wanted !== null && !mayUse(account, wanted))
    return { status: 403, body: consumerInvalid(wanted) }
  if (account.tier !== "free-tier" && wanted === null && account.project === null)
    return {
      status: 400,
      body: googleError(400, "FAILED_PRECONDITION", "A Google Cloud project is required for this tier."),
    }
  const project = wanted ?? account.project
  if (account.namelessPolls > 0) {
    account.namelessPolls--
    return { status: 200, body: { done: false } }
  }
  if (account.pendingPolls > 0) {
    const name = `operations/${world.unique("onboard.")}`
    world.operations.set(name, { account, left: account.pendingPolls, project })
    return {
      status: 200,
      body: { name, done: false, metadata: { "@type": "type.googleapis.com/OnboardUserMetadata" } },
    }
  }
  return { status: 200, body: finished(account, project, undefined) }
}

export function operation(world: World, account: FakeAccount, name: string): Answer {
  const entry = world.operations.get(name)
  if (entry === undefined || entry.account !== account)
    return { status: 404, body: googleError(404, "NOT_FOUND", `Operation ${name} not found.`) }
  entry.left--
  if (entry.left > 0) return { status: 200, body: { name, done: false } }
  return { status: 200, body: finished(account, entry.project, name) }
}

function finished(account: FakeAccount, project: string | null, name: string | undefined) {
  account.onboarded = true
  return {
    ...(name === undefined ? {} : { name }),
    done: true,
    response: {
      "@type": "type.googleapis.com/google.internal.cloud.code.v1internal.OnboardUserResponse",
      ...(project === null
        ? {}
        : { cloudaicompanionProject: { id: project, name: project, projectNumber: "123456789012" } }),
    },
  }
}

/** Requests per model and day where `limit` has not said otherwise. */
const DAILY = 1_000
const METERED = ["gemini-2.5-pro", "gemini-2.5-flash"]

export function retrieveUserQuota(account: FakeAccount, body: Json): Answer {
  const project = text(body.project)
  if (project === null) return { status: 400, body: invalidArgument("project is required") }
  if (!mayUse(account, project)) return { status: 403, body: consumerInvalid(project) }
  const midnight = new Date().setUTCHours(24, 0, 0, 0)
  const buckets = [...new Set([...METERED, ...account.quota.keys()])].map((modelId) => {
    const limit = account.quota.get(modelId)
    const left = limit === undefined ? DAILY - (account.served.get(modelId) ?? 0) : limit.remaining
    return {
      modelId,
      tokenType: "REQUESTS",
      remainingAmount: String(left),
      remainingFraction: Math.min(1, Math.max(0, left / DAILY)),
      resetTime: new Date(limit?.resetAt ?? midnight).toISOString(),
    }
  })
  return { status: 200, body: { buckets } }
}
