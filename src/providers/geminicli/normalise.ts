/**
 * What Cloud Code needs otherwise than the Gemini API takes it, as few changes as possible (spec 4.2, 11.17). Schemas, tools and
 * everything unknown stay as the client wrote them.
 */
import type { Change } from "./changes.ts"
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

/** What a key means: the name it should have, null where it is right, and what its value holds. */
interface Field {
  readonly name: string | null
  readonly inside: Fields | null
}
type Fields = ReadonlyMap<string, Field>

function fieldsOf({ names, inside = {} }: Shape): Fields {
  const fields = new Map<string, Field>()
  for (const [key, shape] of Object.entries(inside)) fields.set(key, { name: null, inside: fieldsOf(shape) })
  for (const [key, name] of Object.entries(names)) fields.set(key, { name, inside: fields.get(name)?.inside ?? null })
  return fields
}

const FIELDS = fieldsOf(REQUEST)

/** Members of a part that say something about its data but are none: upstream wants one data member in each part. */
const ABOUT_DATA: ReadonlySet<string> = new Set([
  "thought",
  "thoughtSignature",
  "thought_signature",
  "videoMetadata",
  "video_metadata",
  "partMetadata",
])

/** The changes that make `request` acceptable; none for nearly every body, so that looking for them allocates next to nothing. */
export function normalise(request: JsonObject): readonly Change[] {
  const changes: Change[] = []
  rename(request, FIELDS, [], changes)
  // The model is in the URL and in the envelope; here the field is unknown.
  if (Object.hasOwn(request, "model")) changes.push({ path: ["model"], op: "remove" })
  const { contents } = request
  if (Array.isArray(contents)) {
    for (let index = 0; index < contents.length; index++) fixContent(contents[index], index, changes)
  }
  fixSystem(request, "systemInstruction", changes)
  fixSystem(request, "system_instruction", changes)
  return changes
}

/** @param path where `value` stands; grows and shrinks on the way, so it is copied into what is kept */
function rename(value: unknown, fields: Fields, path: (string | number)[], changes: Change[]): void {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      if (!isObject(item)) continue
      path.push(index)
      renameIn(item, fields, path, changes)
      path.pop()
    }
  } else if (isObject(value)) renameIn(value, fields, path, changes)
}

function renameIn(value: JsonObject, fields: Fields, path: (string | number)[], changes: Change[]): void {
  for (const key in value) {
    const field = fields.get(key)
    if (field === undefined) continue
    const { name, inside } = field
    // Both spellings at once are the client's mistake, for the upstream to tell.
    if (name !== null && !Object.hasOwn(value, name)) changes.push({ path: [...path, key], op: "rename", key: name })
    if (inside === null) continue
    path.push(key)
    rename(value[key], inside, path, changes)
    path.pop()
  }
}

/** Upstream: "required oneof field 'data' must have one initialized field" and "Please use a valid role". */
function fixContent(content: unknown, index: number, changes: Change[]): void {
  if (!isObject(content)) return
  const { parts, role } = content
  if (parts === undefined || parts === null || (Array.isArray(parts) && parts.every(isEmptyPart))) {
    changes.push({ path: ["contents", index], op: "remove" })
    return
  }
  fixParts(parts, "contents", index, changes)
  if (typeof role === "string" && role !== "") return
  const spoken = JSON.stringify(hasCall(parts) ? "model" : "user")
  if (Object.hasOwn(content, "role")) changes.push({ path: ["contents", index, "role"], op: "replace", json: spoken })
  else changes.push({ path: ["contents", index], op: "insert", member: `"role":${spoken}` })
}

/** @param item of the list `top`; null where `top` is no list */
function fixParts(parts: unknown, top: string, item: number | null, changes: Change[]): void {
  if (!Array.isArray(parts)) return
  for (let index = 0; index < parts.length; index++) {
    const part: unknown = parts[index]
    if (hasData(part)) continue
    const path = item === null ? [top, "parts", index] : [top, item, "parts", index]
    if (isEmptyPart(part)) changes.push({ path, op: "remove" })
    // Clients drop empty texts and keep the signature that came with them.
    else changes.push({ path, op: "insert", member: '"text":""' })
  }
}

function fixSystem(request: JsonObject, key: string, changes: Change[]): void {
  const system = request[key]
  if (typeof system === "string" && system.trim() !== "") {
    changes.push({ path: [key], op: "replace", json: JSON.stringify({ parts: [{ text: system }] }) })
    return
  }
  const parts = isObject(system) ? system.parts : undefined
  if (typeof system === "string" || (Array.isArray(parts) && parts.every(isEmptyPart)))
    changes.push({ path: [key], op: "remove" })
  else fixParts(parts, key, null, changes)
}

/** Whether nothing has to be done to a part; what is no object is the upstream's to refuse. */
function hasData(part: unknown): boolean {
  if (!isObject(part)) return part !== null
  for (const key in part) if (!ABOUT_DATA.has(key)) return true
  return false
}

function isEmptyPart(part: unknown): boolean {
  if (!isObject(part)) return part === null
  for (const _ in part) return false
  return true
}

const hasCall = (parts: unknown): boolean =>
  Array.isArray(parts) && parts.some((part) => isObject(part) && ("functionCall" in part || "function_call" in part))
