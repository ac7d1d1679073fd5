import type { CallBase } from "../../relay/ports.ts"
import type { Caller } from "./caller.ts"

/** One client request, ready to be sent with any lease. Amended calls are new objects. */
export interface CodexCall extends CallBase {
  readonly endpoint: "responses" | "compact"
  /** The upstream body: the client's own bytes where nothing had to change. */
  readonly body: Uint8Array<ArrayBuffer> | string
  /** The client's headers that go upstream, in the upstream's spelling. */
  readonly headers: Readonly<Record<string, string>>
  /** Issued by one credential, and sent back to that one only. */
  readonly turnState: string | null
  readonly caller: Caller
  /** Client version to announce. */
  readonly version: string
  /** How often parameters were taken out because the backend refused them by name. */
  readonly parametersDropped: number
}
