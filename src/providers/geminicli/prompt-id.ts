import type { Random } from "../../observe/clock.ts"

const DIGITS = new TextEncoder().encode("0123456789abcdef")

/** `user_prompt_id`: 16 random bytes as 32 hex digits (ASCII); names the prompt for the upstream, nothing else. */
export function promptId(random: Random): Uint8Array {
  const id = new Uint8Array(32)
  for (let at = 0; at < 32; ) {
    let bits = Math.floor(random() * 2 ** 32)
    for (const end = at + 8; at < end; at++) {
      id[at] = DIGITS[bits & 15] ?? 0
      bits >>>= 4
    }
  }
  return id
}
