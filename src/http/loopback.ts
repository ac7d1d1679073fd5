import { Listener, type ListenerDeps } from "./listener.ts"
import { PortError } from "./port-error.ts"

/** Both names of loopback: a browser may take `localhost` for either. */
const FACES = ["127.0.0.1", "::1"] as const

/**
 * A port of loopback that is open only while it is needed, for a provider that sends browsers to fixed ports. A busy port is
 * logged and otherwise no fault: the address can still be pasted.
 */
export class LoopbackPort {
  readonly #ports: readonly number[]
  readonly #deps: ListenerDeps
  #open: { readonly port: number; readonly listeners: readonly Listener[] } | null = null

  constructor(ports: readonly number[], deps: ListenerDeps) {
    this.#ports = ports
    this.#deps = deps
  }

  /** Opens the first port that is free, if none is open. The port, or null when all are busy. */
  open(): number | null {
    if (this.#open !== null) return this.#open.port
    for (const port of this.#ports) {
      const listeners: Listener[] = []
      for (const face of FACES) {
        const listener = new Listener(this.#deps)
        try {
          listener.listen(face, port)
          listeners.push(listener)
        } catch (error) {
          if (!(error instanceof PortError)) throw error
          // Without IPv4 the port is somebody else's; without IPv6 it may just be a machine that has none.
          if (face === "127.0.0.1") break
          this.#deps.log.debug("login port not open on IPv6", { port, error: error.code })
        }
      }
      if (listeners.length > 0) {
        this.#open = { port, listeners }
        this.#deps.log.info("login port open", { port })
        return port
      }
      this.#deps.log.warn("login port is busy", { port })
    }
    return null
  }

  /** Requests being answered on it. */
  get active(): number {
    return this.#open?.listeners.reduce((sum, listener) => sum + listener.active, 0) ?? 0
  }

  /** Closes the port once what it is answering is answered. */
  close(): void {
    const open = this.#open
    if (open === null) return
    this.#open = null
    for (const listener of open.listeners) {
      listener.stop(false).catch((error: unknown) => {
        this.#deps.log.error("login port did not close", { port: open.port, error: String(error) })
      })
    }
    this.#deps.log.info("login port closed", { port: open.port })
  }
}
