import { maskEmail, redact } from "../observe/redact.ts"
import type { CredentialView, Explanation, PoolEvent } from "../scheduler/ports.ts"
import type { SeedOutcome } from "../store/types.ts"

/** A seed's outcome as people and programs outside are told it: e-mail masked, detail free of secrets. */
export interface ShownOutcome {
  readonly id: string
  readonly status: SeedOutcome["kind"]
  readonly credential?: number | null
  readonly email?: string | null
  readonly reason?: string
  readonly detail?: string
  readonly url?: string | null
}

export function showOutcome(outcome: SeedOutcome): ShownOutcome {
  const { id, kind: status } = outcome
  switch (outcome.kind) {
    case "pending":
      return { id, status }
    case "adopted":
      return { id, status, credential: outcome.credential, email: masked(outcome.email) }
    case "known":
      return {
        id,
        status,
        credential: outcome.credential,
        ...(outcome.detail !== undefined && { detail: redact(outcome.detail) }),
      }
    case "failed":
      return { id, status, reason: outcome.reason, detail: redact(outcome.detail), url: outcome.url }
  }
}

/** The scheduler masks already; masking twice changes nothing, and forgetting it once would show an address. */
export function showCredential(view: CredentialView): CredentialView {
  return { ...view, email: masked(view.email) }
}

export function showExplanation(explanation: Explanation): Explanation {
  return { ...explanation, email: masked(explanation.email) }
}

export function showEvent(event: PoolEvent): unknown {
  switch (event.event) {
    case "credential":
      return { ...event, credential: showCredential(event.credential) }
    case "removed":
      return event
    case "seed":
      return { ...event, outcome: showOutcome(event.outcome) }
  }
}

function masked(email: string | null): string | null {
  return email === null ? null : maskEmail(email)
}
