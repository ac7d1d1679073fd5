/** What Cloud Code's answers about an account mean, as the official client takes them (spec 2.2). Pure. */
import { isObject, type JsonObject, objectOr, textOr } from "./json.ts"

/** Why an account cannot serve; final until someone acts. */
export interface Refused {
  readonly kind: "refused"
  readonly reason: string
  /** For people. */
  readonly detail: string
  readonly url: string | null
}

export interface Ready {
  readonly kind: "ok"
  readonly project: string
  readonly plan: string
}

/** The account has no tier yet: this body is to be sent to onboardUser. */
export interface Onboard {
  readonly kind: "onboard"
  readonly tier: string
  readonly body: JsonObject
}

export const FREE_TIER = "free-tier"
const LEGACY_TIER = "legacy-tier"
export const STANDARD_TIER = "standard-tier"

const METADATA = { ideType: "IDE_UNSPECIFIED", platform: "PLATFORM_UNSPECIFIED", pluginType: "GEMINI" }

export const refused = (reason: string, detail: string, url: string | null = null): Refused => ({
  kind: "refused",
  reason,
  detail,
  url,
})

/** @param wanted the operator's Cloud project, or null */
export const loadBody = (wanted: string | null): JsonObject =>
  wanted === null
    ? { metadata: METADATA }
    : { cloudaicompanionProject: wanted, metadata: { ...METADATA, duetProject: wanted } }

/** Projects go by their id; the number that the console shows beside it does not work. */
export function checkProject(wanted: string | null): Refused | null {
  return wanted !== null && /^\d+$/.test(wanted)
    ? refused("PROJECT_NUMERIC", `"${wanted}" is a project number; give the project's id, which has letters in it.`)
    : null
}

/** A project as Cloud Code spells it: its id, or an object that holds it. */
function projectId(value: unknown): string | null {
  return textOr(value) ?? (isObject(value) ? textOr(value.id) : null)
}

const tiersOf = (value: unknown): readonly JsonObject[] => (Array.isArray(value) ? value.filter(isObject) : [])

/** What to do after loadCodeAssist. */
export function afterLoad(load: JsonObject, wanted: string | null): Ready | Refused | Onboard {
  const current = objectOr(load.currentTier)
  const paid = objectOr(load.paidTier)
  if (current !== null) {
    const project = projectId(load.cloudaicompanionProject) ?? wanted
    if (project === null) return withoutProject(load)
    const plan = textOr(paid?.id) ?? textOr(current.id) ?? STANDARD_TIER
    return { kind: "ok", project, plan }
  }
  const validation = tiersOf(load.ineligibleTiers).find(
    (tier) => tier.reasonCode === "VALIDATION_REQUIRED" && textOr(tier.validationUrl) !== null,
  )
  if (validation !== undefined) return ineligible([validation])
  const tier = tiersOf(load.allowedTiers).find((one) => one.isDefault === true)
  const id = textOr(tier?.id) ?? LEGACY_TIER
  // A free tier refuses to be given a project ("Precondition Failed"); the others need the user's.
  return { kind: "onboard", tier: id, body: { tierId: id, ...loadBody(id === FREE_TIER ? null : wanted) } }
}

/** What a finished onboarding brought. */
export function afterOnboarding(
  operation: JsonObject,
  onboard: Onboard,
  load: JsonObject,
  wanted: string | null,
): Ready | Refused {
  const response = objectOr(operation.response)
  const project = projectId(response?.cloudaicompanionProject) ?? wanted
  return project === null ? withoutProject(load) : { kind: "ok", project, plan: onboard.tier }
}

/**
 * What a refused onboarding means. Without a project Google says no more than "Precondition Failed"; the tiers that the account
 * may not have, or the project that it lacks, are the reason.
 */
export function afterRefusal(refusal: Refused, onboard: Onboard, load: JsonObject, wanted: string | null): Refused {
  const isKnown = tiersOf(load.ineligibleTiers).length > 0 || onboard.tier !== FREE_TIER
  if (wanted !== null || !isKnown || !/^failed_?precondition$/i.test(refusal.reason)) return refusal
  const why = withoutProject(load)
  return { ...why, detail: `${why.detail} Google said: ${refusal.detail}` }
}

/** No project can be had: the ineligible tiers say why, or the user has to bring one. */
function withoutProject(load: JsonObject): Refused {
  const tiers = tiersOf(load.ineligibleTiers)
  return tiers.length > 0
    ? ineligible(tiers)
    : refused(
        "PROJECT_REQUIRED",
        "This account needs a Google Cloud project of its own with Gemini Code Assist; add it again with project_id.",
      )
}

function ineligible(tiers: readonly JsonObject[]): Refused {
  const messages = tiers.map((tier) => textOr(tier.reasonMessage)).filter((message) => message !== null)
  const reasons = tiers.map((tier) => textOr(tier.reasonCode)).filter((reason) => reason !== null)
  const urls = tiers.map((tier) => textOr(tier.validationUrl)).filter((url) => url !== null)
  const detail = [...new Set(messages)].join(" ")
  return refused(
    reasons[0] ?? "INELIGIBLE_ACCOUNT",
    detail === "" ? "The account is not eligible for Gemini Code Assist." : detail,
    urls.find((url) => URL.canParse(url) && new URL(url).protocol === "https:") ?? null,
  )
}

/** Name of a pending operation, if it may stand in a URL. */
export function operationName(operation: JsonObject): string | null {
  const name = textOr(operation.name)
  return name !== null && /^[\w-]+(?:[./][\w-]+)*$/.test(name) ? name : null
}
