/** Refuses what Cloud Code refuses in a generate or countTokens envelope. */
import {
  consumerInvalid,
  corruptedSignature,
  type GoogleError,
  googleError,
  invalidArgument,
  missingSignature,
  notFound,
  unknownName,
} from "./errors.ts"
import type { FakeAccount } from "./types.ts"
import type { World } from "./world.ts"

export type Json = Readonly<Record<string, unknown>>

const ENVELOPE = new Set(["model", "project", "user_prompt_id", "request", "enabled_credit_types"])
const REQUEST = new Set([
  "contents",
  "systemInstruction",
  "cachedContent",
  "tools",
  "toolConfig",
  "labels",
  "safetySettings",
  "generationConfig",
  "session_id",
])
const COUNT_REQUEST = new Set(["model", "contents", "systemInstruction", "tools", "generationConfig"])
const TOOL = new Set([
  "functionDeclarations",
  "googleSearch",
  "googleSearchRetrieval",
  "codeExecution",
  "urlContext",
  "enterpriseWebSearch",
  "googleMaps",
  "computerUse",
])
const PART_DATA = [
  "text",
  "inlineData",
  "fileData",
  "functionCall",
  "functionResponse",
  "executableCode",
  "codeExecutionResult",
  "thought",
]
const ROLES = new Set(["user", "model", "function"])
/** Values that Google documents as "do not check". */
const BYPASS = new Set(["skip_thought_signature_validator", "context_engineering_is_the_way_to_go"])

export const isJson = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

export function checkGenerate(world: World, account: FakeAccount, body: Json): GoogleError | null {
  const odd = Object.keys(body).find((key) => !ENVELOPE.has(key))
  if (odd !== undefined) return unknownName(odd, "")
  const { model, project, request } = body
  if (typeof model !== "string" || model === "") return invalidArgument("model is required")
  const projectError = checkProject(account, project)
  if (projectError !== null) return projectError
  if (account.models !== null && !account.models.includes(model)) return notFound()
  if (!isJson(request)) return invalidArgument("request is required")
  return (
    unknown(request, REQUEST, "request") ??
    checkContents(request.contents) ??
    checkSystem(request.systemInstruction) ??
    checkTools(request.tools) ??
    (model.startsWith("gemini-3") ? checkSignatures(world, account, list(request.contents)) : null)
  )
}

export function checkCount(account: FakeAccount, body: Json): GoogleError | null {
  const odd = Object.keys(body).find((key) => key !== "request")
  if (odd !== undefined) return unknownName(odd, "")
  const request = body.request
  if (!isJson(request)) return invalidArgument("request is required")
  const model = request.model
  if (model !== undefined && (typeof model !== "string" || !model.startsWith("models/")))
    return invalidArgument("model must be models/{model}")
  if (typeof model === "string" && account.models !== null && !account.models.includes(model.slice(7)))
    return notFound()
  return (
    unknown(request, COUNT_REQUEST, "request") ??
    checkContents(request.contents) ??
    checkSystem(request.systemInstruction) ??
    checkTools(request.tools)
  )
}

function unknown(value: Json, known: ReadonlySet<string>, at: string): GoogleError | null {
  const odd = Object.keys(value).find((key) => !known.has(key))
  return odd === undefined ? null : unknownName(odd, at)
}

function checkProject(account: FakeAccount, project: unknown): GoogleError | null {
  if (project === undefined || project === "") {
    return account.tier === "free-tier"
      ? null
      : googleError(403, "PERMISSION_DENIED", "The caller does not have permission")
  }
  if (typeof project !== "string") return invalidArgument("project must be a string")
  return project === account.project || account.userProjects.includes(project) ? null : consumerInvalid(project)
}

function checkContents(contents: unknown): GoogleError | null {
  if (!Array.isArray(contents) || contents.length === 0)
    return invalidArgument("Unable to submit request because at least one contents field is required.")
  for (const [index, content] of contents.entries()) {
    if (!isJson(content)) return invalidArgument(`Invalid value at 'request.contents[${index}]'`)
    const odd = unknown(content, new Set(["role", "parts"]), `request.contents[${index}]`)
    if (odd !== null) return odd
    if (!ROLES.has(String(content.role))) return invalidArgument("Please use a valid role: user, model.")
    const bad = checkParts(content.parts, `request.contents[${index}]`)
    if (bad !== null) return bad
  }
  return null
}

function checkParts(parts: unknown, at: string): GoogleError | null {
  if (!Array.isArray(parts) || parts.length === 0)
    return invalidArgument(
      "Unable to submit request because it must include at least one parts field, which describes the prompt input.",
    )
  for (const [index, part] of parts.entries()) {
    if (!isJson(part) || !PART_DATA.some((key) => key in part))
      return invalidArgument(`${at}.parts[${index}]: required oneof field 'data' must have one initialized field`)
  }
  return null
}

function checkSystem(system: unknown): GoogleError | null {
  if (system === undefined) return null
  if (!isJson(system)) return invalidArgument("Invalid value at 'request.system_instruction'")
  return checkParts(system.parts, "request.system_instruction")
}

function checkTools(tools: unknown): GoogleError | null {
  if (tools === undefined) return null
  if (!Array.isArray(tools)) return invalidArgument("Invalid value at 'request.tools'")
  for (const [index, tool] of tools.entries()) {
    if (!isJson(tool)) return invalidArgument(`Invalid value at 'request.tools[${index}]'`)
    const odd = unknown(tool, TOOL, `request.tools[${index}]`)
    if (odd !== null) return odd
  }
  return null
}

/** In each model turn the first functionCall must carry a signature; any signature must be one that was given out. */
function checkSignatures(world: World, account: FakeAccount, contents: readonly unknown[]): GoogleError | null {
  for (const [index, content] of contents.entries()) {
    if (!isJson(content) || content.role !== "model") continue
    let first = true
    for (const part of list(content.parts)) {
      if (!isJson(part)) continue
      const signature = part.thoughtSignature
      if (isJson(part.functionCall)) {
        if (first && signature === undefined) return missingSignature(String(part.functionCall.name), index + 1)
        first = false
      }
      if (signature === undefined || BYPASS.has(String(signature))) continue
      const owner = world.signatures.get(String(signature))
      if (owner === undefined || (world.options.bindSignatures === true && owner !== account))
        return corruptedSignature()
    }
  }
  return null
}
