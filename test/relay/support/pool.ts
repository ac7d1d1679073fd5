import type { Acquired, Action, Ask, Lease, LeaseEnd, Pool, Refusal } from "../../../src/scheduler/ports.ts"
import type { LastError } from "../../../src/store/types.ts"

export interface Report {
  readonly credential: number
  readonly action: Action
  readonly error: LastError | null
}

export interface FakePool extends Pool {
  readonly asks: Ask[]
  readonly reports: Report[]
  readonly ends: { readonly credential: number; readonly end: LeaseEnd }[]
  /** Leases given out and not released. */
  readonly open: number
  /** Leases released twice, or never given out; must stay empty. */
  readonly wrong: number[]
  /** Answers the next acquire calls instead of the rotation. */
  readonly script: ((ask: Ask) => Acquired | Promise<Acquired>)[]
}

const unused = (): never => {
  throw new Error("the relay has no business with this")
}

export const refusal = (why: Refusal): Acquired => ({ lease: null, refusal: why })

/** Gives out credentials 1 to `size` in order, honouring `exclude`, `avoid` and `only`, and counts what the relay does. */
export function fakePool(size: number, when: { empty?: Refusal } = {}): FakePool {
  let nextLease = 1
  let turn = 0
  const open = new Map<number, Lease>()
  const asks: Ask[] = []
  const reports: Report[] = []
  const ends: { credential: number; end: LeaseEnd }[] = []
  const wrong: number[] = []
  const script: FakePool["script"] = []
  const give = (credential: number, ask: Ask): Acquired => {
    const lease: Lease = {
      id: nextLease++,
      credential,
      model: ask.model,
      token: `token-${credential}`,
      generation: 1,
      identity: { sub: `sub-${credential}`, account: "", email: null, plan: null },
      sticky: false,
    }
    open.set(lease.id, lease)
    return { lease, refusal: null }
  }
  const pick = (ask: Ask): Acquired => {
    if (ask.signal.aborted) return refusal({ why: "aborted" })
    const ids = Array.from({ length: size }, (_, i) => ((i + turn) % size) + 1)
    const usable = ids.filter((id) => (ask.only === null || id === ask.only) && !ask.exclude.has(id))
    const credential = usable.find((id) => !ask.avoid.has(id)) ?? usable[0]
    if (credential === undefined) return refusal(when.empty ?? { why: size === 0 ? "empty" : "exhausted" })
    turn = credential % size
    return give(credential, ask)
  }
  return {
    asks,
    reports,
    ends,
    wrong,
    script,
    get open() {
      return open.size
    },
    acquire(ask) {
      asks.push(ask)
      const scripted = script.shift()
      return scripted === undefined ? pick(ask) : scripted(ask)
    },
    report: (lease, action, error) => void reports.push({ credential: lease.credential, action, error }),
    release(lease, end) {
      if (!open.delete(lease.id)) wrong.push(lease.id)
      ends.push({ credential: lease.credential, end })
    },
    seeds: unused,
    tokens: unused,
    outcome: unused,
    list: unused,
    seedRecords: unused,
    counts: unused,
    ready: unused,
    explain: unused,
    disable: unused,
    enable: unused,
    remove: unused,
    clear: unused,
    refresh: unused,
    subscribe: unused,
    close: unused,
  }
}

/** A pool answer that waits until the ask is aborted, as for a refresh in flight. */
export const waits = (ask: Ask): Promise<Acquired> =>
  new Promise((resolve) => {
    const aborted = (): void => resolve(refusal({ why: "aborted" }))
    if (ask.signal.aborted) aborted()
    else ask.signal.addEventListener("abort", aborted, { once: true })
  })
