/** What a failed listen means, and its exit code in sysexits.h. */
const CAUSES: Readonly<Record<string, { readonly exitCode: number; readonly what: string; readonly cure: string }>> = {
  EADDRINUSE: {
    exitCode: 69,
    what: "is taken by another program",
    cure: "stop that one, or set another basic.listen_port",
  },
  EACCES: {
    exitCode: 77,
    what: "may not be used by this user",
    cure: "choose a basic.listen_port of 1024 or more, or grant CAP_NET_BIND_SERVICE",
  },
  EADDRNOTAVAIL: {
    exitCode: 78,
    what: "is not an address of this machine",
    cure: "set basic.listen_addr to one that is, or to 0.0.0.0",
  },
}

/** The server could not listen. The message is one line for people: what happened and what to do. */
export class PortError extends Error {
  override readonly name = "PortError"
  readonly exitCode: number
  /** The system's error code, e.g. `EADDRINUSE`. */
  readonly code: string

  constructor(address: string, port: number, cause: unknown) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "UNKNOWN"
    const known = Object.hasOwn(CAUSES, code) ? CAUSES[code] : undefined
    const place = `${address.includes(":") ? `[${address}]` : address}:${port}`
    super(
      known === undefined
        ? `cannot listen on ${place} (${code}): check basic.listen_addr and basic.listen_port`
        : `${place} ${known.what} (${code}): ${known.cure}`,
      { cause },
    )
    this.code = code
    this.exitCode = known?.exitCode ?? 71
  }
}
