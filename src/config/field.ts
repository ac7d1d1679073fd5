import type { Kind } from "./kinds.ts"

export type TomlValue = string | number | boolean | readonly string[]

/** One key of the configuration: everything that reading, help and documentation need to know of it. */
export interface Field<T> {
  readonly key: string
  readonly kind: Kind<T>
  /** What stands for an absent key, as TOML; null: nothing does. */
  readonly initial: TomlValue | null
  /** The value of an absent key. */
  absent(): T
  readonly required: boolean
  /** Never shown: neither in a problem nor in a message. */
  readonly secret: boolean
  readonly unit: string | null
  /** One sentence: what the key does. */
  readonly means: string
  /** Why the default is what it is. */
  readonly why: string
  /** A value to show, as TOML. */
  readonly example: TomlValue
  /** Whether the example file sets the key; otherwise it stands there as a comment. */
  readonly shown: boolean
  /** Whether a reload applies a change; otherwise it takes a restart. */
  readonly live: boolean
}

interface Description {
  readonly means: string
  readonly why: string
  readonly unit?: string
  readonly secret?: true
  readonly example?: TomlValue
  readonly shown?: true
  readonly live?: false
}

function describeField<T>(key: string, kind: Kind<T>, about: Description) {
  return {
    key,
    kind,
    secret: about.secret === true,
    unit: about.unit ?? null,
    means: about.means,
    why: about.why,
    shown: about.shown === true,
    live: about.live !== false,
  }
}

/** A key with a default. */
export function field<T>(key: string, kind: Kind<T>, initial: TomlValue, about: Description): Field<T> {
  const read = kind.read(initial)
  if (!read.ok) throw new Error(`the default of ${key} is not one of its own values`)
  const value = read.value
  return {
    ...describeField(key, kind, about),
    initial,
    absent: () => value,
    required: false,
    example: about.example ?? initial,
  }
}

/** A key that may be absent: null then. */
export function optional<T>(
  key: string,
  kind: Kind<T>,
  about: Description & { readonly example: TomlValue },
): Field<T | null> {
  return {
    ...describeField<T | null>(key, kind, about),
    initial: null,
    absent: () => null,
    required: false,
    example: about.example,
  }
}

/** A key that must be there; `stand` is used only to go on looking for further problems. */
export function required<T>(
  key: string,
  kind: Kind<T>,
  stand: T,
  about: Description & { readonly example: TomlValue },
): Field<T> {
  return {
    ...describeField(key, kind, about),
    initial: null,
    absent: () => stand,
    required: true,
    example: about.example,
  }
}
