import type { CallBase, Inbound, Relay } from "../relay/ports.ts"
import { faultResponse } from "./faults.ts"
import { allowsModel, type ErrorShape } from "./ports.ts"
import { Entrance } from "./visit.ts"

/**
 * The relay as a provider's routes see it: a key's list of models holds for every call, whatever route made it, and the edge
 * knows which requests the relay will record.
 */
export function gate<C extends CallBase>(
  relay: Relay<C>,
  shape: ErrorShape,
  addressOf: (request: Request) => string,
): Relay<C> {
  return {
    serve(call: C, inbound: Inbound): Promise<Response> {
      if (!(inbound instanceof Entrance)) return relay.serve(call, inbound)
      if (!allowsModel(inbound.holder, call.model)) {
        return Promise.resolve(
          faultResponse({ kind: "forbidden", message: `this key may not use the model "${call.model}"` }, shape),
        )
      }
      inbound.relayed = true
      inbound.address = addressOf(inbound.request)
      inbound.streaming = call.stream
      return relay.serve(call, inbound)
    },
    get active() {
      return relay.active
    },
    abortAll: () => relay.abortAll(),
  }
}
