import type { Answered, ClientRequest } from "./ports.ts"

interface Passage {
  readonly request: ClientRequest
  /** What the route's handler made of it. */
  answered: Answered | null
}

/**
 * Leads requests through a router that knows only `Request` and `Response`: it is shown a shell with method and path, and decides
 * by that. What it calls gets the request itself, whose answer passes the router by.
 */
export class Passages {
  readonly #passages = new WeakMap<Request, Passage>()

  /** @param router never rejects, and calls `through` for whatever it was shown */
  async route(request: ClientRequest, router: (shell: Request) => Response | Promise<Response>): Promise<Answered> {
    const { path, query } = request.target
    const shell = new Request(`http://localhost${path}${query === "" ? "" : `?${query}`}`, { method: request.method })
    const passage: Passage = { request, answered: null }
    this.#passages.set(shell, passage)
    const response = await router(shell)
    return passage.answered ?? response
  }

  /** What the router calls. */
  async through(shell: Request, serve: (request: ClientRequest) => Answered | Promise<Answered>): Promise<Response> {
    const passage = this.#passages.get(shell)
    if (passage === undefined) throw new Error("the router was shown what nobody asked for")
    passage.answered = await serve(passage.request)
    return new Response(null)
  }
}
