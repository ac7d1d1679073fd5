/** Client keys as people read them. Pure. */
import type { ClientKey } from "../config/types.ts"
import type { Paint } from "./paint.ts"
import type { Column } from "./table.ts"
import { when } from "./when.ts"

type Listed = Omit<ClientKey, "sha256">

export const KEY_COLUMNS: readonly Column[] = [
  { title: "NAME" },
  { title: "STATE" },
  { title: "MODELS" },
  { title: "PER MINUTE", align: "right" },
  { title: "EXPIRES" },
]

/** The edge refuses a key from the very moment of its expiry on. */
export function keyState({ expiresAt }: Pick<Listed, "expiresAt">, now: number): "active" | "expired" {
  return expiresAt !== null && now >= expiresAt ? "expired" : "active"
}

export function keyCells(key: Listed, now: number, paint: Paint): readonly string[] {
  const state = keyState(key, now)
  return [
    key.name,
    state === "active" ? paint.good(state) : paint.bad(state),
    key.models?.join(", ") ?? "all",
    key.requestsPerMinute === null ? "no limit" : String(key.requestsPerMinute),
    key.expiresAt === null ? "never" : when(key.expiresAt, now),
  ]
}
