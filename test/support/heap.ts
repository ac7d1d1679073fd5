import { heapStats } from "bun:jsc"

/** Bytes of what is still in use, texts included; what was given up does not count, whether the system has it back or not. */
export function heapBytes(): number {
  Bun.gc(true)
  const { heapSize, extraMemorySize } = heapStats()
  return heapSize + extraMemorySize
}
