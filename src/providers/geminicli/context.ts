import type { Clock } from "../../observe/clock.ts"
import type { AnswerHeaders, Failure } from "../../relay/ports.ts"
import type { Lease } from "../../scheduler/ports.ts"
import type { GeminiCall } from "./call.ts"
import type { AnswerContext } from "./response.ts"
import type { Signatures } from "./signatures.ts"
import { explain } from "./verdict.ts"

/** What all answers share. */
export interface Surroundings {
  readonly signatures: Signatures
  readonly clock: Clock
}

/** One answer's context. An object of a class and not of closures: there is one for each open stream. */
export class Context implements AnswerContext {
  constructor(
    private readonly around: Surroundings,
    readonly headers: AnswerHeaders,
    private readonly call: GeminiCall,
    private readonly lease: Lease,
  ) {}

  learn(response: Uint8Array): void {
    this.around.signatures.learn(this.call.model, this.lease.credential, response)
  }

  explain(failure: Failure): string {
    return explain(failure, this.call, this.lease, this.around.clock.wall())
  }
}
