import type { LastError } from "../store/types.ts"
import type { IdentifyTask } from "./onboarding.ts"
import type { Acquired, Action, Ask, Identified, Lease, LeaseEnd, QuotaReading, Refreshed } from "./ports.ts"
import type { Watched } from "./quota-desk.ts"
import type { RefreshJob } from "./refresh.ts"
import type { Waiter } from "./waiters.ts"

/** What reaches the scheduler actor. One is handled to its end before the next; no handler awaits. */
export type Message =
  | { readonly type: "acquire"; readonly ask: Ask; readonly answer: (acquired: Acquired) => void }
  | { readonly type: "report"; readonly lease: Lease; readonly action: Action; readonly error: LastError | null }
  | { readonly type: "release"; readonly lease: Lease; readonly end: LeaseEnd }
  /** The asker of a waiting request went away. */
  | { readonly type: "abort"; readonly waiter: Waiter }
  /** A deadline may be due. */
  | { readonly type: "wake" }
  | { readonly type: "refreshed"; readonly job: RefreshJob; readonly outcome: Refreshed }
  | { readonly type: "identified"; readonly task: IdentifyTask; readonly outcome: Identified }
  | { readonly type: "quota"; readonly watched: Watched; readonly reading: QuotaReading }

export type Send = (message: Message) => void
