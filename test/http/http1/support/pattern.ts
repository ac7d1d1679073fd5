/** Bytes that tell where they stand. @param from which place the first one is at */
export function pattern(size: number, from = 0): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  for (let i = 0; i < size; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8) * 7) & 255
  return bytes
}
