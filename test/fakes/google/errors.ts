/** Error bodies as Google sends them, for faults and for the fake's own refusals. */

export interface GoogleError {
  readonly error: {
    readonly code: number
    readonly message: string
    readonly status: string
    readonly errors?: readonly unknown[]
    readonly details?: readonly Record<string, unknown>[]
  }
}

const ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
const HELP = "type.googleapis.com/google.rpc.Help"
const DOMAIN = "cloudcode-pa.googleapis.com"

export function googleError(
  code: number,
  status: string,
  message: string,
  details?: readonly Record<string, unknown>[],
): GoogleError {
  return { error: { code, message, status, ...(details === undefined ? {} : { details }) } }
}

const info = (reason: string, metadata: Record<string, string> = {}, domain = DOMAIN) => ({
  "@type": ERROR_INFO,
  reason,
  domain,
  metadata,
})

export const invalidArgument = (message: string) => googleError(400, "INVALID_ARGUMENT", message)

export const unknownName = (name: string, at: string) =>
  googleError(
    400,
    "INVALID_ARGUMENT",
    `Invalid JSON payload received. Unknown name "${name}"${at === "" ? "" : ` at '${at}'`}: Cannot find field.`,
    [
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        fieldViolations: [
          {
            ...(at === "" ? {} : { field: at }),
            description: `Invalid JSON payload received. Unknown name "${name}"${at === "" ? "" : ` at '${at}'`}: Cannot find field.`,
          },
        ],
      },
    ],
  )

export const unauthenticated = () =>
  googleError(
    401,
    "UNAUTHENTICATED",
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
    [
      info(
        "ACCESS_TOKEN_EXPIRED",
        { service: DOMAIN, method: "google.internal.cloud.code.v1internal" },
        "googleapis.com",
      ),
    ],
  )

export const notFound = () => googleError(404, "NOT_FOUND", "Requested entity was not found.")

export const permissionDenied = () => googleError(403, "PERMISSION_DENIED", "The caller does not have permission")

/** A Go duration as Google prints it: `11h16m14.149781566s`, `373.8ms`. */
export function goDuration(ms: number): string {
  if (ms < 1000) return `${ms}ms`
  const hours = Math.floor(ms / 3_600_000)
  const minutes = Math.floor((ms % 3_600_000) / 60_000)
  const seconds = (ms % 60_000) / 1000
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`
}

export function quotaExhausted(model: string, resetInMs: number, now = Date.now()): GoogleError {
  return googleError(
    429,
    "RESOURCE_EXHAUSTED",
    `You have exhausted your capacity on this model. Your quota will reset after ${goDuration(Math.floor(resetInMs / 1000) * 1000)}.`,
    [
      info("QUOTA_EXHAUSTED", {
        uiMessage: "true",
        model,
        quotaResetDelay: goDuration(resetInMs),
        quotaResetTimeStamp: new Date(now + resetInMs).toISOString().replace(/\.\d+Z$/, "Z"),
      }),
      { "@type": RETRY_INFO, retryDelay: `${resetInMs / 1000}s` },
    ],
  )
}

export const rateLimited = (model: string, delay: string) =>
  googleError(429, "RESOURCE_EXHAUSTED", "You have exhausted your capacity on this model.", [
    info("RATE_LIMIT_EXCEEDED", { model, quotaResetDelay: delay }),
    { "@type": RETRY_INFO, retryDelay: delay },
  ])

export const capacityExhausted = (model: string, code: 429 | 503 = 429) =>
  googleError(
    code,
    code === 429 ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE",
    `No capacity available for model ${model} on the server`,
    [
      info("MODEL_CAPACITY_EXHAUSTED", { model }),
      ...(code === 503 ? [{ "@type": RETRY_INFO, retryDelay: "40s" }] : []),
    ],
  )

/** The bare form that names neither reason nor time. */
export const bareExhausted = () =>
  googleError(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota).")

export const validationRequired = (url: string) =>
  googleError(403, "PERMISSION_DENIED", "Verify your account to continue.", [
    info("VALIDATION_REQUIRED", {
      validation_url: url,
      validation_url_link_text: "Verify your account",
      validation_error_message: "Verify your account to continue.",
      validation_learn_more_url: "https://support.google.com/accounts?p=al_alert",
      validation_learn_more_link_text: "Learn more",
    }),
    {
      "@type": HELP,
      links: [
        { description: "Verify your account", url },
        { description: "Learn more", url: "https://support.google.com/accounts?p=al_alert" },
      ],
    },
  ])

export const serviceDisabled = (project: string) =>
  googleError(
    403,
    "PERMISSION_DENIED",
    `Gemini for Google Cloud API has not been used in project ${project} before or it is disabled. Enable it by visiting https://console.developers.google.com/apis/api/cloudaicompanion.googleapis.com/overview?project=${project} then retry.`,
    [
      info(
        "SERVICE_DISABLED",
        {
          activationUrl: `https://console.developers.google.com/apis/api/cloudaicompanion.googleapis.com/overview?project=${project}`,
          consumer: `projects/${project}`,
          containerInfo: project,
          service: "cloudaicompanion.googleapis.com",
        },
        "googleapis.com",
      ),
    ],
  )

export const consumerInvalid = (project: string) =>
  googleError(403, "PERMISSION_DENIED", `Permission denied on resource project ${project}.`, [
    info("CONSUMER_INVALID", { consumer: `projects/${project}`, service: DOMAIN }, "googleapis.com"),
  ])

export const iamDenied = (project: string) =>
  googleError(
    403,
    "PERMISSION_DENIED",
    `Permission 'cloudaicompanion.companions.generateChat' denied on resource '//cloudaicompanion.googleapis.com/projects/${project}/locations/global' (or it may not exist).`,
    [
      info(
        "IAM_PERMISSION_DENIED",
        {
          permission: "cloudaicompanion.companions.generateChat",
          resource: `projects/${project}/locations/global`,
        },
        "cloudaicompanion.googleapis.com",
      ),
    ],
  )

export const tosViolation = () =>
  googleError(
    403,
    "PERMISSION_DENIED",
    "This service has been disabled in this account for violation of Terms of Service.",
    [
      info("TOS_VIOLATION", {
        appeal_url: "https://forms.example.test/appeal",
        appeal_url_link_text: "Appeal",
      }),
    ],
  )

export const subscriptionRequired = () => ({
  error: {
    code: 403,
    message:
      "You are missing a valid license for Gemini Code Assist. Please contact your billing administrator to purchase or assign a license. (#3501)",
    errors: [{ message: "You are missing a valid license.", domain: "global", reason: "forbidden" }],
    status: "PERMISSION_DENIED",
    details: [info("SUBSCRIPTION_REQUIRED", {}, "cloudaicompanion.googleapis.com")],
  },
})

export const unsupportedClient = () =>
  googleError(
    403,
    "PERMISSION_DENIED",
    "This client is no longer supported for Gemini Code Assist for individuals. To continue using Gemini, please migrate to Antigravity.",
    [info("UNSUPPORTED_CLIENT")],
  )

export const missingSignature = (name: string, position: number) =>
  invalidArgument(
    `Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call \`default_api:${name}\` , position ${position}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.`,
  )

export const corruptedSignature = () => invalidArgument("Corrupted thought signature.")

export const preconditionFailed = () => googleError(400, "FAILED_PRECONDITION", "Precondition Failed")

export const internal = () => googleError(500, "INTERNAL", "Internal error encountered.")

export const unavailable = () => googleError(503, "UNAVAILABLE", "The service is currently unavailable.")
