import type { Incoming } from "../../../../src/http/http1/incoming.ts"
import type { Answered } from "../../../../src/http/ports.ts"
import { Reply } from "../../../../src/relay/reply.ts"
import { soon } from "./soon.ts"

/** A request without a body. */
export const to = (path: string, ...fields: readonly string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: x", ...fields, "", ""].join("\r\n")

/** Answers with the path. */
export const named = ({ target }: Incoming): Answered => new Reply(200, {}, target.path)

/** Answers when told to, in the order of the requests. */
export class Gate {
  readonly asked: string[] = []
  private readonly waiting: (() => void)[] = []

  readonly handle = (request: Incoming): Promise<Answered> => {
    const { promise, resolve } = Promise.withResolvers<Answered>()
    this.asked.push(request.target.path)
    this.waiting.push(() => resolve(named(request)))
    return promise
  }

  async has(count: number): Promise<void> {
    await soon(`${count} requests are here`, () => this.asked.length >= count)
  }

  open(): void {
    this.waiting.shift()?.()
  }
}
