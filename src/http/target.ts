/** Where a request points to, read from the request line alone: what a client claims in Host decides nothing (checks B6). */
export interface Target {
  /** Path without query, percent-encoding kept, dot segments resolved. */
  readonly path: string
  /** The query without its question mark, as it came; empty when there is none. */
  readonly query: string
}
