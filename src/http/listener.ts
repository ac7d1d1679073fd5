import type { Server } from "bun"
import type { Log } from "../observe/ports.ts"
import { faultResponse, neutralShape } from "./faults.ts"
import { PortError } from "./port-error.ts"
import { RECEIVE_SECONDS, type Socketed } from "./wire.ts"

/** Bodies are bounded where they are read, with the API's own answer; the server's limit must never come first. */
const NO_BODY_LIMIT = 2 ** 45

/** The open port. */
export class Listener {
  #server: Server<undefined> | null = null

  constructor(
    readonly handle: (request: Request, server: Socketed) => Response | Promise<Response>,
    readonly log: Log,
    readonly receiveSeconds: number = RECEIVE_SECONDS,
  ) {}

  /**
   * @param hostname an address, e.g. `127.0.0.1` or `::`
   * @param port 0 for a free one
   * @throws PortError
   */
  listen(hostname: string, port: number): { readonly url: string; readonly port: number } {
    try {
      this.#server = Bun.serve({
        hostname,
        port,
        // A second instance must fail, not share the port in silence (platform spec T11).
        reusePort: false,
        idleTimeout: this.receiveSeconds,
        maxRequestBodySize: NO_BODY_LIMIT,
        development: false,
        fetch: (request, server) => this.handle(request, server),
        error: (error) => {
          this.log.error("server failed", { error: error.stack ?? error.message })
          return faultResponse({ kind: "internal", message: "An internal server error occurred." }, neutralShape)
        },
      })
    } catch (error) {
      throw new PortError(hostname, port, error)
    }
    const bound = this.#server.port ?? port
    return { url: `http://${reachable(hostname)}:${bound}`, port: bound }
  }

  get port(): number | null {
    return this.#server?.port ?? null
  }

  get active(): number {
    return this.#server?.pendingRequests ?? 0
  }

  async stop(force: boolean): Promise<void> {
    const server = this.#server
    this.#server = null
    await server?.stop(force)
  }
}

/** An address that a client on this machine can use: "all addresses" is none. */
function reachable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1"
  if (hostname === "::") return "[::1]"
  return hostname.includes(":") ? `[${hostname}]` : hostname
}
