/** What the backend refuses (spec codex 3.1 and 4), as pure functions over a request. */
import type { FakeAccount } from "./accounts.ts"
import type { Json } from "./events.ts"

export interface FakeModel {
  readonly slug: string
  /** First client version that may use it. */
  readonly minimalClientVersion: string
}

export interface Refusal {
  readonly status: number
  readonly body: unknown
}

const detail = (text: string, status = 400): Refusal => ({ status, body: { detail: text } })
const fault = (code: string, message: string, param: string | null, status = 400): Refusal => ({
  status,
  body: { error: { message, type: "invalid_request_error", param, code } },
})

/** Every parameter the backend knows; any other one is refused by name. */
const PARAMETERS: ReadonlySet<string> = new Set([
  "model",
  "instructions",
  "input",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning",
  "store",
  "stream",
  "include",
  "service_tier",
  "prompt_cache_key",
  "text",
  "client_metadata",
])

const COMPACT_PARAMETERS: ReadonlySet<string> = new Set([
  "model",
  "input",
  "instructions",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning",
  "service_tier",
  "text",
])

const INCLUDES: ReadonlySet<string> = new Set([
  "reasoning.encrypted_content",
  "file_search_call.results",
  "web_search_call.results",
  "web_search_call.action.sources",
  "message.input_image.image_url",
  "computer_call_output.output.image_url",
  "code_interpreter_call.outputs",
  "message.output_text.logprobs",
])

const ID_PREFIX: Readonly<Record<string, string>> = {
  message: "msg_",
  reasoning: "rs_",
  function_call: "fc_",
  function_call_output: "fc_",
  custom_tool_call: "ctc_",
  custom_tool_call_output: "ctco_",
}

/** The encrypted content this fake issues to an account; no other account can read it. */
export function encryptFor(account: FakeAccount): string {
  return `gAAAAA.${account.accountId}.${Buffer.from(account.sub).toString("base64url")}`
}

export function refuseResponses(
  body: unknown,
  headers: Readonly<Record<string, string>>,
  account: FakeAccount,
  models: readonly FakeModel[],
  extraUnsupported: ReadonlySet<string>,
): Refusal | null {
  if (!isObject(body)) return detail("Invalid JSON body")
  for (const name of Object.keys(body)) {
    if (!PARAMETERS.has(name) || extraUnsupported.has(name)) return detail(`Unsupported parameter: ${name}`)
  }
  if (body.store !== false) return detail("Store must be set to false")
  if (body.stream !== true) return detail("Stream must be set to true")
  if (typeof body.instructions !== "string") return detail("Instructions are required")
  return (
    refuseModel(body.model, headers, account, models) ??
    refuseLite(body, headers) ??
    refuseTier(body.service_tier) ??
    refuseCacheKey(body.prompt_cache_key) ??
    refuseInclude(body.include) ??
    refuseTools(body.tools) ??
    refuseInput(body.input, account)
  )
}

export function refuseCompact(
  body: unknown,
  headers: Readonly<Record<string, string>>,
  account: FakeAccount,
  models: readonly FakeModel[],
): Refusal | null {
  if (!isObject(body)) return detail("Invalid JSON body")
  for (const name of Object.keys(body)) {
    if (!COMPACT_PARAMETERS.has(name)) return detail(`Unsupported parameter: ${name}`)
  }
  if (typeof body.instructions !== "string") return detail("Instructions are required")
  return refuseModel(body.model, headers, account, models) ?? refuseInput(body.input, account)
}

/** Headers that the backend insists on, before it looks at the body. */
export function refuseHeaders(headers: Readonly<Record<string, string>>, account: FakeAccount): Refusal | null {
  if (headers["chatgpt-account-id"] !== account.accountId) {
    return {
      status: 401,
      body: {
        error: {
          message: "Workspace is not valid for this token",
          code: "invalid_workspace",
          type: "authentication_error",
        },
      },
    }
  }
  if (account.fedramp && headers["x-openai-fedramp"] !== "true") return detail("Residency header missing", 403)
  for (const name of ["x-forwarded-for", "cookie", "x-api-key", "x-goog-api-key", "forwarded", "via"]) {
    if (headers[name] !== undefined) return detail(`Header ${name} must not reach the backend`, 418)
  }
  return null
}

function refuseModel(
  model: unknown,
  headers: Readonly<Record<string, string>>,
  account: FakeAccount,
  models: readonly FakeModel[],
): Refusal | null {
  const known = models.find((candidate) => candidate.slug === model)
  if (known === undefined) return fault("model_not_found", `Model not found ${String(model)}`, null, 404)
  if (account.models !== null && !account.models.includes(known.slug)) {
    return detail(`The '${known.slug}' model is not supported when using Codex with a ChatGPT account.`)
  }
  const floor = known.minimalClientVersion
  const announced = headers.version
  const inAgent = /^[^/]+\/(\d+\.\d+\.\d+)/.exec(headers["user-agent"] ?? "")?.[1]
  const product = /^([^/]+)\//.exec(headers["user-agent"] ?? "")?.[1]
  if (announced === undefined || inAgent !== announced || product !== headers.originator) {
    return detail(`The '${known.slug}' model is not supported when using Codex with a ChatGPT account.`)
  }
  if (older(announced, floor)) {
    const text = `The '${known.slug}' model requires a newer version of Codex.`
    return detail(`${text} Please upgrade to the latest app or CLI and try again.`)
  }
  return null
}

function refuseLite(body: Json, headers: Readonly<Record<string, string>>): Refusal | null {
  const lite = headers["x-openai-internal-codex-responses-lite"] === "true"
  const context = isObject(body.reasoning) ? body.reasoning.context : undefined
  if (lite && context !== "all_turns")
    return fault("unsupported_value", "Unsupported value: reasoning.context", "reasoning.context")
  if (
    !lite &&
    Array.isArray(body.input) &&
    body.input.some((item) => isObject(item) && item.type === "additional_tools")
  ) {
    return fault("invalid_value", "Invalid value: 'additional_tools'", "input[0].type")
  }
  return null
}

function refuseTier(tier: unknown): Refusal | null {
  if (tier === undefined || tier === "priority" || tier === "flex") return null
  return detail(`Unsupported service_tier: ${String(tier)}`)
}

function refuseCacheKey(key: unknown): Refusal | null {
  if (typeof key !== "string" || key.length <= 64) return null
  const message = `Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got a string with length ${key.length} instead.`
  return fault("string_above_max_length", message, "prompt_cache_key")
}

function refuseInclude(include: unknown): Refusal | null {
  if (include === undefined) return null
  if (!Array.isArray(include)) return fault("invalid_type", "Invalid type for 'include'", "include")
  const unknown = include.find((value) => typeof value !== "string" || !INCLUDES.has(value))
  return unknown === undefined ? null : fault("invalid_value", `Invalid value: '${String(unknown)}'`, "include[0]")
}

function refuseTools(tools: unknown): Refusal | null {
  if (tools === undefined) return null
  if (!Array.isArray(tools)) return fault("invalid_type", "Invalid type for 'tools'", "tools")
  return tools.some((tool) => isObject(tool) && String(tool.type).startsWith("web_search_preview"))
    ? detail("Unsupported tool type: web_search_preview")
    : null
}

function refuseInput(input: unknown, account: FakeAccount): Refusal | null {
  if (!Array.isArray(input)) return detail("Input must be a list")
  for (const [index, item] of input.entries()) {
    const refusal = isObject(item)
      ? refuseItem(item, index, account)
      : fault("invalid_type", `Invalid type for 'input[${index}]'`, `input[${index}]`)
    if (refusal !== null) return refusal
  }
  return null
}

function refuseItem(item: Json, index: number, account: FakeAccount): Refusal | null {
  const at = `input[${index}]`
  if (item.role === "system") return detail("System messages are not allowed")
  if (item.type === "item_reference") return missing(String(item.id))
  const content = item.content
  if (item.type === "message" || (item.type === undefined && typeof item.role === "string")) {
    if (!Array.isArray(content)) return fault("invalid_type", `Invalid type for '${at}.content'`, `${at}.content`)
    const foreign = item.role === "assistant" ? "input_text" : "output_text"
    if (content.some((part) => isObject(part) && part.type === foreign)) {
      return fault("invalid_value", `Invalid value: '${foreign}'`, `${at}.content[0].type`)
    }
  }
  const id = item.id
  if (typeof id === "string") {
    if (id.length > 64) return fault("string_above_max_length", `Invalid '${at}.id': string too long`, `${at}.id`)
    const prefix = ID_PREFIX[String(item.type)]
    if ((prefix !== undefined && !id.startsWith(prefix)) || id.includes("foreign")) return missing(id)
  }
  const encrypted = item.encrypted_content
  if (typeof encrypted === "string" && encrypted !== encryptFor(account)) {
    return fault(
      "invalid_encrypted_content",
      `The encrypted content for item ${String(id)} could not be verified.`,
      null,
    )
  }
  return null
}

function missing(id: string): Refusal {
  const text = `Item with id '${id}' not found. Items are not persisted when \`store\` is set to false.`
  return fault(
    "not_found",
    `${text} Try again with \`store\` set to true, or remove this item from your input.`,
    "input",
    404,
  )
}

export function older(version: string, floor: string): boolean {
  const parts = (text: string) => text.split(".").map((part) => Number.parseInt(part, 10) || 0)
  const [a, b] = [parts(version), parts(floor)]
  for (let i = 0; i < 3; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
