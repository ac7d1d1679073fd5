import { page } from "../http/pages.ts"

/** What to answer to the browser that came back. */
export interface Told {
  readonly status: number
  readonly title: string
  readonly lines: readonly string[]
}

/** Both names of loopback: a browser may take `localhost` for either. */
const FACES = ["127.0.0.1", "::1"] as const

/** How long a browser may take to fetch its answer at the end, in milliseconds. */
const LAST_WORDS_MS = 1_000

/**
 * A port of loopback on which a command receives the browser itself, while it waits for a login.
 * It takes GET of one path; everything else is refused.
 */
export class CallbackPort {
  readonly port: number
  readonly #servers: readonly Bun.Server<undefined>[]
  #path: string | null = null
  #take: ((url: URL) => Promise<Told>) | null = null

  private constructor(open: (port: number, face: string, handle: Handle) => Bun.Server<undefined>, port: number) {
    const handle: Handle = (request) => this.#answer(request)
    const first = open(port, FACES[0], handle)
    this.port = first.port ?? port
    this.#servers = [first]
    try {
      this.#servers = [first, open(this.port, FACES[1], handle)]
    } catch {
      // A machine without IPv6, or one where somebody else has the port there: IPv4 is enough.
    }
  }

  /**
   * Opens the first free one of `ports`; 0 stands for any.
   * @returns null when all are taken
   */
  static open(ports: readonly number[]): CallbackPort | null {
    for (const port of ports) {
      try {
        return new CallbackPort(listen, port)
      } catch {
        // Taken: the next one.
      }
    }
    return null
  }

  /** From now on `take` is asked about each request for `path`. */
  expect(path: string, take: (url: URL) => Promise<Told>): void {
    this.#path = path
    this.#take = take
  }

  /** Stops listening once what is being answered is answered, or after a short while. */
  async close(): Promise<void> {
    const stopped = Promise.all(this.#servers.map((server) => server.stop(false)))
    await Promise.race([stopped, Bun.sleep(LAST_WORDS_MS)])
    await Promise.all(this.#servers.map((server) => server.stop(true)))
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const known = this.#take !== null && url.pathname === this.#path
    const told: Told = !known
      ? { status: 404, title: "Not found", lines: ["This port only takes a login back."] }
      : request.method !== "GET"
        ? { status: 405, title: "Not allowed", lines: ["Only GET is."] }
        : ((await this.#take?.(url)) ?? { status: 404, title: "Not found", lines: [] })
    const response = page(told)
    response.headers.set("connection", "close")
    return response
  }
}

type Handle = (request: Request) => Promise<Response>

function listen(port: number, hostname: string, fetch: Handle): Bun.Server<undefined> {
  return Bun.serve({ port, hostname, fetch, reusePort: false, development: false, idleTimeout: 0 })
}
