import type { CallBase, Inbound, Relay } from "../relay/ports.ts"
import type { Reply } from "../relay/reply.ts"
import { allowsModel, type ClientRequest, HttpError } from "./ports.ts"
import { Entrance } from "./visit.ts"

/**
 * The relay as a provider's routes see it: a key's list of models holds for every call, whatever route made it, and the edge
 * knows which requests the relay will record. Rejects with HttpError for a model that the key may not use.
 */
export function gate<C extends CallBase>(relay: Relay<C>, addressOf: (request: ClientRequest) => string): Relay<C> {
  return {
    serve(call: C, inbound: Inbound): Promise<Reply> {
      if (!(inbound instanceof Entrance)) return relay.serve(call, inbound)
      if (!allowsModel(inbound.holder, call.model)) {
        const message = `this key may not use the model "${call.model}"`
        return Promise.reject(new HttpError({ kind: "forbidden", message }))
      }
      inbound.relayed = true
      inbound.address = addressOf(inbound.request)
      return relay.serve(call, inbound)
    },
    get active() {
      return relay.active
    },
    abortAll: () => relay.abortAll(),
  }
}
