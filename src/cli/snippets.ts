/**
 * What to put into a client's configuration, as data. `pollux client` prints it and the tests of real clients run it, so that
 * none of it can rot. Base URLs per client: spec clients "Base URLs".
 */

export interface SnippetFacts {
  /** Where the client reaches Pollux, without a slash at the end. */
  readonly url: string
  /** The key itself, or null for a placeholder. */
  readonly key: string | null
  readonly codexModel: string
  readonly geminiModel: string
}

/** One text to paste, and where. */
export interface SnippetPart {
  /** `setup` configures the client, `try` is a first request. */
  readonly kind: "key" | "install" | "setup" | "try"
  readonly says: string
  /** The file that it goes into; null: typed into a shell. */
  readonly file: string | null
  readonly language: "sh" | "toml" | "json" | "javascript"
  readonly text: string
}

export interface Snippet {
  readonly summary: string
  parts(facts: SnippetFacts): readonly SnippetPart[]
}

/** Environment variable that every snippet takes the key from. */
export const KEY_VARIABLE = "POLLUX_KEY"

const PLACEHOLDER = "put-your-key-here"

/** The one line that holds the key: everything after it only names the variable. Single quotes as in POSIX sh 2.2.2. */
function keyPart({ key }: SnippetFacts): SnippetPart {
  const value = (key ?? PLACEHOLDER).replaceAll("'", "'\\''")
  return shell("key", "The key, in the shell that starts the client", `export ${KEY_VARIABLE}='${value}'`)
}

function shell(kind: SnippetPart["kind"], says: string, text: string): SnippetPart {
  return { kind, says, file: null, language: "sh", text }
}

/** Parts of a JavaScript client: what to install, one module that makes it, one that uses it. */
function script(packages: string, setup: string, first: string): readonly SnippetPart[] {
  return [
    shell("install", "The packages", `npm install ${packages}`),
    { kind: "setup", says: "The client", file: "pollux.mjs", language: "javascript", text: setup },
    { kind: "try", says: "A first request", file: "pollux.mjs", language: "javascript", text: first },
  ]
}

export const SNIPPETS: Readonly<Record<string, Snippet>> = {
  codex: {
    summary: "Codex CLI",
    parts: (facts) => [
      keyPart(facts),
      {
        kind: "setup",
        says: "A provider of its own; the first two lines belong above every [table]",
        file: "~/.codex/config.toml",
        language: "toml",
        text: `model = "${facts.codexModel}"
model_provider = "pollux"

[model_providers.pollux]
name = "Pollux"
base_url = "${facts.url}/codex/v1"
env_key = "${KEY_VARIABLE}"
wire_api = "responses"
supports_websockets = false`,
      },
      shell("try", "A first request", 'codex exec --skip-git-repo-check "Say hello."'),
    ],
  },

  gemini: {
    summary: "Gemini CLI",
    parts: (facts) => [
      keyPart(facts),
      shell(
        "setup",
        "Where the CLI sends its requests, in the same shell",
        `export GOOGLE_GEMINI_BASE_URL='${facts.url}/geminicli'
export GEMINI_API_KEY="$${KEY_VARIABLE}"`,
      ),
      {
        kind: "setup",
        says: "Authentication by key instead of a login of its own",
        file: "~/.gemini/settings.json",
        language: "json",
        text: `{
  "security": { "auth": { "selectedType": "gemini-api-key" } }
}`,
      },
      shell("try", "A first request", `gemini --model ${facts.geminiModel} --prompt "Say hello."`),
    ],
  },

  "openai-sdk": {
    summary: "openai for JavaScript (the Python package takes the same two settings as base_url and api_key)",
    parts: (facts) => [
      keyPart(facts),
      ...script(
        "openai",
        `import OpenAI from "openai"

export const client = new OpenAI({
  baseURL: "${facts.url}/codex/v1",
  apiKey: process.env.${KEY_VARIABLE},
})`,
        `const response = await client.responses.create({
  model: "${facts.codexModel}",
  input: "Say hello.",
})
console.log(response.output_text)`,
      ),
    ],
  },

  "genai-sdk": {
    summary: "@google/genai for JavaScript",
    parts: (facts) => [
      keyPart(facts),
      ...script(
        "@google/genai",
        `import { GoogleGenAI } from "@google/genai"

export const client = new GoogleGenAI({
  apiKey: process.env.${KEY_VARIABLE},
  httpOptions: { baseUrl: "${facts.url}/geminicli" },
})`,
        `const response = await client.models.generateContent({
  model: "${facts.geminiModel}",
  contents: "Say hello.",
})
console.log(response.text)`,
      ),
    ],
  },

  "ai-sdk": {
    summary: "the AI SDK with its OpenAI and Google providers",
    parts: (facts) => [
      keyPart(facts),
      ...script(
        "ai @ai-sdk/openai @ai-sdk/google",
        `import { createGoogleGenerativeAI } from "@ai-sdk/google"
import { createOpenAI } from "@ai-sdk/openai"

export const openai = createOpenAI({
  baseURL: "${facts.url}/codex/v1",
  apiKey: process.env.${KEY_VARIABLE},
})
export const google = createGoogleGenerativeAI({
  baseURL: "${facts.url}/geminicli/v1beta",
  apiKey: process.env.${KEY_VARIABLE},
})`,
        `const { generateText } = await import("ai")
for (const model of [openai("${facts.codexModel}"), google("${facts.geminiModel}")]) {
  // Codex stores no answers: with store the SDK's next turn would only refer to this one.
  const providerOptions = { openai: { store: false } }
  const { text } = await generateText({ model, prompt: "Say hello.", providerOptions })
  console.log(text)
}`,
      ),
    ],
  },

  langchain: {
    summary: "LangChain for JavaScript with its OpenAI and Google models",
    parts: (facts) => [
      keyPart(facts),
      ...script(
        "@langchain/core @langchain/openai @langchain/google-genai",
        `import { ChatGoogleGenerativeAI } from "@langchain/google-genai"
import { ChatOpenAI } from "@langchain/openai"

export const openai = new ChatOpenAI({
  model: "${facts.codexModel}",
  apiKey: process.env.${KEY_VARIABLE},
  useResponsesApi: true,
  configuration: { baseURL: "${facts.url}/codex/v1" },
})
export const google = new ChatGoogleGenerativeAI({
  model: "${facts.geminiModel}",
  apiKey: process.env.${KEY_VARIABLE},
  baseUrl: "${facts.url}/geminicli",
})`,
        `for (const model of [openai, google]) {
  const answer = await model.invoke("Say hello.")
  console.log(answer.text)
}`,
      ),
    ],
  },

  curl: {
    summary: "curl, or any program that speaks HTTP",
    parts: (facts) => [
      keyPart(facts),
      shell(
        "try",
        "OpenAI Responses API",
        `curl --no-progress-meter --fail-with-body ${facts.url}/codex/v1/responses \\
  -H "Authorization: Bearer $${KEY_VARIABLE}" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${facts.codexModel}", "input": "Say hello."}'`,
      ),
      shell(
        "try",
        "Gemini API",
        `curl --no-progress-meter --fail-with-body ${facts.url}/geminicli/v1beta/models/${facts.geminiModel}:generateContent \\
  -H "x-goog-api-key: $${KEY_VARIABLE}" \\
  -H "Content-Type: application/json" \\
  -d '{"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}'`,
      ),
    ],
  },
}

/** The parts as one text for people, headed by comments. Pure. */
export function snippetText(parts: readonly SnippetPart[]): string {
  return parts
    .map(({ says, file, language, text }, index) => {
      const mark = language === "javascript" || language === "json" ? "//" : "#"
      const where = file === null ? "" : ` (${file})`
      return `${mark} ${index + 1}. ${says}${where}\n${text}\n`
    })
    .join("\n")
}
