/** The Cloud Code envelope of a request: `{"model","project","user_prompt_id","request"}`, or `{"request"}` for countTokens. */

import type { Pieces } from "../../relay/ports.ts"

const ENCODER = new TextEncoder()
const CLOSE = ENCODER.encode("}")
const BEFORE_REQUEST = ENCODER.encode('","request":')
const COUNT = ENCODER.encode('{"request":')

/** Beginnings that are kept: as many as a pool of that many projects needs for one model, about a megabyte. */
const MAX_HEADS = 4_096

export class Wrapper {
  /** What stands before the prompt's id, by model and project. */
  readonly #heads = new Map<string, Map<string, Uint8Array>>()
  #kept = 0

  /** @param head `promptId`: ASCII that JSON need not escape */
  request(
    head: { readonly model: string; readonly project: string; readonly promptId: Uint8Array },
    request: Uint8Array,
  ): Pieces {
    return [this.#head(head.model, head.project), head.promptId, BEFORE_REQUEST, request, CLOSE]
  }

  /** countTokens takes no more than the request, which names the model itself. */
  count(request: Uint8Array): Pieces {
    return [COUNT, request, CLOSE]
  }

  #head(model: string, project: string): Uint8Array {
    const known = this.#heads.get(model)?.get(project)
    if (known !== undefined) return known
    if (++this.#kept > MAX_HEADS) {
      this.#heads.clear()
      this.#kept = 1
    }
    const head = headOf(model, project)
    const heads = this.#heads.get(model)
    if (heads === undefined) this.#heads.set(model, new Map([[project, head]]))
    else heads.set(project, head)
    return head
  }
}

/** The Cloud project goes out only if there is one (free tiers may have none). */
function headOf(model: string, project: string): Uint8Array {
  const named = project === "" ? "" : `"project":${JSON.stringify(project)},`
  return ENCODER.encode(`{"model":${JSON.stringify(model)},${named}"user_prompt_id":"`)
}
