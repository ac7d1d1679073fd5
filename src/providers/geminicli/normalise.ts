/**
 * What Cloud Code needs otherwise than the Gemini API takes it, as few changes as possible (spec 4.2, 11.17). Schemas, tools and
 * everything unknown stay as the client wrote them.
 */
import type { Change, Path } from "./changes.ts"
import { isObject, type JsonObject } from "./json.ts"

/** Members that hand-written bodies and Python's REST bodies spell in snake case, and what they hold. */
interface Shape {
  readonly names: Readonly<Record<string, string>>
  readonly inside?: Readonly<Record<string, Shape>>
}

const BLOB: Shape = { names: { mime_type: "mimeType", file_uri: "fileUri", display_name: "displayName" } }
const PART: Shape = {
  names: {
    inline_data: "inlineData",
    file_data: "fileData",
    function_call: "functionCall",
    function_response: "functionResponse",
    executable_code: "executableCode",
    code_execution_result: "codeExecutionResult",
    thought_signature: "thoughtSignature",
    video_metadata: "videoMetadata",
  },
  inside: { inlineData: BLOB, fileData: BLOB },
}
const CONTENT: Shape = { names: {}, inside: { parts: PART } }
const REQUEST: Shape = {
  names: {
    system_instruction: "systemInstruction",
    generation_config: "generationConfig",
    safety_settings: "safetySettings",
    tool_config: "toolConfig",
    cached_content: "cachedContent",
  },
  inside: {
    contents: CONTENT,
    systemInstruction: CONTENT,
    tools: {
      names: {
        function_declarations: "functionDeclarations",
        google_search: "googleSearch",
        google_search_retrieval: "googleSearchRetrieval",
        google_maps: "googleMaps",
        code_execution: "codeExecution",
        url_context: "urlContext",
      },
      inside: {
        functionDeclarations: {
          names: { parameters_json_schema: "parametersJsonSchema", response_json_schema: "responseJsonSchema" },
        },
      },
    },
    toolConfig: {
      names: { function_calling_config: "functionCallingConfig", retrieval_config: "retrievalConfig" },
      inside: { functionCallingConfig: { names: { allowed_function_names: "allowedFunctionNames" } } },
    },
    generationConfig: {
      names: {
        top_p: "topP",
        top_k: "topK",
        candidate_count: "candidateCount",
        max_output_tokens: "maxOutputTokens",
        stop_sequences: "stopSequences",
        presence_penalty: "presencePenalty",
        frequency_penalty: "frequencyPenalty",
        response_logprobs: "responseLogprobs",
        response_mime_type: "responseMimeType",
        response_schema: "responseSchema",
        response_json_schema: "responseJsonSchema",
        response_modalities: "responseModalities",
        media_resolution: "mediaResolution",
        speech_config: "speechConfig",
        audio_timestamp: "audioTimestamp",
        image_config: "imageConfig",
        thinking_config: "thinkingConfig",
      },
      inside: {
        thinkingConfig: {
          names: {
            thinking_budget: "thinkingBudget",
            thinking_level: "thinkingLevel",
            include_thoughts: "includeThoughts",
          },
        },
      },
    },
  },
}

/** Members of a part that say something about its data but are none: upstream wants one data member in each part. */
const ABOUT_DATA = new Set([
  "thought",
  "thoughtSignature",
  "thought_signature",
  "videoMetadata",
  "video_metadata",
  "partMetadata",
])

/** The changes that make `request` acceptable; none for nearly every body. */
export function normalise(request: JsonObject): Change[] {
  const changes: Change[] = []
  rename(request, REQUEST, [], changes)
  // The model is in the URL and in the envelope; here the field is unknown.
  if (Object.hasOwn(request, "model")) changes.push({ path: ["model"], op: "remove" })
  const contents = request.contents
  if (Array.isArray(contents)) {
    for (const [index, content] of contents.entries()) fixContent(content, ["contents", index], changes)
  }
  for (const key of ["systemInstruction", "system_instruction"]) fixSystem(request, key, changes)
  return changes
}

function rename(value: unknown, shape: Shape, path: Path, changes: Change[]): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) if (isObject(item)) renameIn(item, shape, [...path, index], changes)
  } else if (isObject(value)) renameIn(value, shape, path, changes)
}

/** A table's entry, and never what it inherits: keys are the client's. */
const own = <T>(table: Readonly<Record<string, T>> | undefined, key: string): T | undefined =>
  table !== undefined && Object.hasOwn(table, key) ? table[key] : undefined

function renameIn(value: JsonObject, shape: Shape, path: Path, changes: Change[]): void {
  for (const key of Object.keys(value)) {
    const name = own(shape.names, key)
    // Both spellings at once are the client's mistake, for the upstream to tell.
    if (name !== undefined && !Object.hasOwn(value, name))
      changes.push({ path: [...path, key], op: "rename", key: name })
    const inner = own(shape.inside, name ?? key)
    if (inner !== undefined) rename(value[key], inner, [...path, key], changes)
  }
}

/** Upstream: "required oneof field 'data' must have one initialized field" and "Please use a valid role". */
function fixContent(content: unknown, path: Path, changes: Change[]): void {
  if (!isObject(content)) return
  const parts = content.parts
  if (parts === undefined || parts === null || (Array.isArray(parts) && parts.every(isEmptyPart))) {
    changes.push({ path, op: "remove" })
    return
  }
  fixParts(parts, [...path, "parts"], changes)
  const role = content.role
  if (typeof role === "string" && role !== "") return
  const spoken = JSON.stringify(hasCall(parts) ? "model" : "user")
  if (Object.hasOwn(content, "role")) changes.push({ path: [...path, "role"], op: "replace", json: spoken })
  else changes.push({ path, op: "insert", member: `"role":${spoken}` })
}

function fixParts(parts: unknown, path: Path, changes: Change[]): void {
  if (!Array.isArray(parts)) return
  for (const [index, part] of parts.entries()) {
    if (isEmptyPart(part)) changes.push({ path: [...path, index], op: "remove" })
    // Clients drop empty texts and keep the signature that came with them.
    else if (isObject(part) && Object.keys(part).every((key) => ABOUT_DATA.has(key)))
      changes.push({ path: [...path, index], op: "insert", member: '"text":""' })
  }
}

function fixSystem(request: JsonObject, key: string, changes: Change[]): void {
  const system = request[key]
  if (typeof system === "string" && system.trim() !== "") {
    changes.push({ path: [key], op: "replace", json: JSON.stringify({ parts: [{ text: system }] }) })
    return
  }
  const parts = isObject(system) ? system.parts : undefined
  if (system === "" || typeof system === "string" || (Array.isArray(parts) && parts.every(isEmptyPart)))
    changes.push({ path: [key], op: "remove" })
  else fixParts(parts, [key, "parts"], changes)
}

const isEmptyPart = (part: unknown): boolean => part === null || (isObject(part) && Object.keys(part).length === 0)

const hasCall = (parts: unknown): boolean =>
  Array.isArray(parts) && parts.some((part) => isObject(part) && ("functionCall" in part || "function_call" in part))
