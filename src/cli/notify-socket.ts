/**
 * The datagram socket of the service manager (sd_notify(3)). The runtime has TCP, UDP and stream sockets of the unix kind, but no
 * unix datagram socket, so libc's is called. This file is loaded only where a service manager has set NOTIFY_SOCKET.
 */
import { FFIType, ptr } from "bun:ffi"
import { callLibc } from "./libc.ts"

export interface NotifySocket {
  /** Sends one message and never waits; false when it did not go out: nobody reads there, or its queue is full. */
  send(message: string): boolean
  /** CLOCK_MONOTONIC in microseconds, which the manager compares its own with. */
  monotonicMicroseconds(): bigint
  close(): void
}

/** Linux, the same on x64 and arm64: <sys/socket.h>, <time.h>. */
const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000
const CLOCK_MONOTONIC = 1

/** `sun_path` of <sys/un.h>. */
const LONGEST_PATH = 108

/**
 * The address as the kernel takes it: the family in the machine's byte order (little-endian wherever Bun runs), then the path; one that begins with `@` is
 * abstract: a NUL byte stands in its place, and the length ends the name (unix(7)). Null for what is no such address.
 */
export function socketAddress(name: string): Uint8Array<ArrayBuffer> | null {
  const abstract = name.startsWith("@")
  if (!abstract && !name.startsWith("/")) return null
  const path = new TextEncoder().encode(name)
  if (path.length < 2 || path.length > LONGEST_PATH - (abstract ? 0 : 1) || path.includes(0)) return null
  const address = new Uint8Array(2 + path.length + (abstract ? 0 : 1))
  address[0] = AF_UNIX
  address.set(path, 2)
  if (abstract) address[2] = 0
  return address
}

/**
 * @param name value of NOTIFY_SOCKET: a path, or `@` and an abstract name
 * @throws Error saying why it cannot be used
 */
export function openNotifySocket(name: string): NotifySocket {
  const address = socketAddress(name)
  if (address === null) throw new Error(`NOTIFY_SOCKET is neither a path nor an abstract name: ${name}`)
  const { i32, u32, i64, u64, ptr: pointer } = FFIType
  const symbols = callLibc({
    socket: { args: [i32, i32, i32], returns: i32 },
    sendto: { args: [i32, pointer, u64, i32, pointer, u32], returns: i64 },
    close: { args: [i32], returns: i32 },
    clock_gettime: { args: [i32, pointer], returns: i32 },
  })
  const file = symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
  if (file < 0) throw new Error("the system refuses a unix datagram socket")
  return {
    send(message) {
      const bytes = new TextEncoder().encode(message)
      const sent = symbols.sendto(file, ptr(bytes), bytes.length, MSG_DONTWAIT_NOSIGNAL, ptr(address), address.length)
      return Number(sent) === bytes.length
    },
    monotonicMicroseconds() {
      const time = new BigInt64Array(2)
      symbols.clock_gettime(CLOCK_MONOTONIC, ptr(time))
      const [seconds = 0n, nanoseconds = 0n] = time
      return seconds * 1_000_000n + nanoseconds / 1_000n
    },
    close: () => void symbols.close(file),
  }
}
