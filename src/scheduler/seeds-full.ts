/**
 * Seeds that may wait in one pool. Each is kept in memory with its token until it is sent, and at the usual five refreshes a second
 * so many take eleven hours: more of them is a mistake, and would grow until the process is killed.
 */
export const MOST_PENDING = 200_000

/** Too many seeds wait already; none of those handed in was taken. */
export class SeedsFull extends Error {
  override readonly name = "SeedsFull"

  constructor(pending: number, added: number) {
    super(
      `${pending} seeds wait already and ${added} more would make it more than ${MOST_PENDING}; none was taken, send them again later`,
    )
  }
}
