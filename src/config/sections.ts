import type { Field } from "./field.ts"
import { basic, clientKey, codex, geminicli, shared } from "./schema.ts"

/** One table of the file, for whatever goes through all keys. */
export interface Section {
  /** Its header, e.g. `providers.codex`. */
  readonly name: string
  readonly title: string
  readonly fields: Readonly<Record<string, Field<unknown>>>
  /** Whether the keys of `providers.defaults` may stand here too. */
  readonly overrides: boolean
  /** Whether it is an array of tables. */
  readonly many: boolean
}

export const SECTIONS: readonly Section[] = [
  { name: "basic", title: "The server itself.", fields: { ...basic }, overrides: false, many: false },
  {
    name: "providers.defaults",
    title: "What holds for every provider, unless its own table says otherwise.",
    fields: { ...shared },
    overrides: false,
    many: false,
  },
  {
    name: "providers.geminicli",
    title: "Gemini CLI accounts, served as the Gemini API below /geminicli.",
    fields: { ...geminicli },
    overrides: true,
    many: false,
  },
  {
    name: "providers.codex",
    title: "Codex accounts, served as the OpenAI Responses API below /codex.",
    fields: { ...codex },
    overrides: true,
    many: false,
  },
  {
    name: "keys",
    title: "Further client keys, one table each; they never open the admin verbs.",
    fields: { ...clientKey },
    overrides: false,
    many: true,
  },
]
