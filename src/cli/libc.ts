/** The C library, for the few calls that the runtime does not offer. Linux only; loaded only where one of them is needed. */
import { dlopen, type FFIFunction } from "bun:ffi"

/** glibc's name, which musl takes for itself too (its loader knows the reserved name "libc."), and musl's own. */
const NAMES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"] as const

/** @throws Error saying why it cannot be called */
export function callLibc<const Calls extends Record<string, FFIFunction>>(calls: Calls) {
  const failures: string[] = []
  for (const name of NAMES) {
    try {
      return dlopen(name, calls).symbols
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  throw new Error(`libc cannot be called: ${failures[0] ?? "no name is known for it"}`)
}
