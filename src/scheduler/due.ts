import type { Mark, Moment, Now, Rest } from "./entry.ts"
import { Deadline } from "./heap.ts"
import type { Waiter } from "./waiters.ts"

/** Something the actor itself does at a time: storing late changes, trying a seed again. */
export class Chore extends Deadline {
  readonly kind = "chore"
  constructor(readonly run: (now: Now) => void) {
    super()
  }
}

/** Everything timed stands in one heap. */
export type Due = Rest | Mark | Moment | Waiter | Chore
