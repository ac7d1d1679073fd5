/** The Cloud Code envelope of a request: `{"model","project","user_prompt_id","request"}`, or `{"request"}` for countTokens. */

const ENCODER = new TextEncoder()
const CLOSE_BRACE = 0x7d
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
  ): Uint8Array<ArrayBuffer> {
    const { promptId } = head
    const start = this.#head(head.model, head.project)
    const id = start.length
    const middle = id + promptId.length
    const value = middle + BEFORE_REQUEST.length
    const bytes = new Uint8Array(value + request.length + 1)
    bytes.set(start)
    bytes.set(promptId, id)
    bytes.set(BEFORE_REQUEST, middle)
    bytes.set(request, value)
    bytes[bytes.length - 1] = CLOSE_BRACE
    return bytes
  }

  /** countTokens takes no more than the request, which names the model itself. */
  count(request: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(COUNT.length + request.length + 1)
    bytes.set(COUNT)
    bytes.set(request, COUNT.length)
    bytes[bytes.length - 1] = CLOSE_BRACE
    return bytes
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
