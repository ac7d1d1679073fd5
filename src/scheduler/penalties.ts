import type { Random } from "../observe/clock.ts"
import { ALL_MODELS, type Cooldown, type Standing, type StateChange } from "../store/types.ts"
import { type Entry, type Now, Rest, wallOf } from "./entry.ts"
import { type CredentialPool, EARLY } from "./pool.ts"
import type { Action, ParkAction, QuotaReading } from "./ports.ts"
import { rung } from "./strikes.ts"

type Penalty = Exclude<Action, { do: "none" } | { do: "refresh" } | { do: "identify" }>

/** A cooldown shorter than this, in milliseconds, is not worth a durable write: no restart is over sooner. */
const STORED_FROM = 10_000
/** A cooldown that grows by less than this, in milliseconds, is not written again. */
const WORTH_STORING = 1_000
/** Share of a backoff step added at random. */
const JITTER = 0.1

/**
 * What a reported fault does to its credential; changes the entry, settles it, and returns what the store must know.
 * `lease` is the number of the lease that failed.
 */
export function punish(
  pool: CredentialPool,
  entry: Entry,
  lease: number,
  action: Penalty,
  now: Now,
  random: Random,
): readonly StateChange[] {
  switch (action.do) {
    case "cool":
      return each(action.scope, (scope) => {
        const { cause, quota } = action
        const { count, fresh } = entry.strikes.hit(cause, scope, lease, pool.youngest)
        const stated = now.mono + (action.until - now.wall)
        const cap = action.probe === undefined || action.probe.length === 0 ? null : rung(action.probe, count)
        const capped = cap !== null && now.mono + cap < stated
        // One of the same volley does not push the probe further away.
        if (capped && !fresh && entry.rests.get(scope)?.cause === cause) return []
        const until = capped ? now.mono + cap : stated
        return cool(pool, entry, new Rest(entry, scope, action.until, cause, quota, count), until, now)
      })
    case "backoff": {
      const { ladder, cause, after = 1 } = action
      let banned: readonly StateChange[] | null = null
      const changes = each(action.scope, (scope) => {
        const { count, fresh } = entry.strikes.hit(cause, scope, lease, pool.youngest)
        const step = count - after + 1
        if (step < 1 || (!fresh && entry.rests.has(scope))) return []
        if (action.then === "ban" && step > ladder.length) {
          banned ??= ban(pool, entry, cause, `It failed ${count} times in a row (${cause}).`, now)
          return []
        }
        const until = now.mono + rung(ladder, step) * (1 + JITTER * random())
        return cool(pool, entry, new Rest(entry, scope, wallOf(until, now), cause, false, count), until, now)
      })
      return banned ?? changes
    }
    case "lacks": {
      const until = now.mono + (action.until - now.wall)
      if (!pool.mark(entry, action.model, until, now)) return []
      pool.settle(entry)
      const mark = entry.marks.get(action.model)
      return mark === undefined ? [] : [{ set: "mark", mark: { model: action.model, until: wallOf(mark.at, now) } }]
    }
    case "park":
      return park(pool, entry, lease, action, now)
    case "ban":
      return ban(pool, entry, action.reason, action.detail, now)
  }
}

function each(
  scope: "all" | readonly string[],
  apply: (scope: string) => readonly StateChange[],
): readonly StateChange[] {
  return scope === "all" ? apply(ALL_MODELS) : scope.flatMap(apply)
}

function cool(pool: CredentialPool, entry: Entry, rest: Rest, until: number, now: Now): readonly StateChange[] {
  const old = entry.rests.get(rest.scope)
  const before = old?.at ?? 0
  // What the upstream stated stays known when something else holds the credential back for longer.
  if (old !== undefined && old.stated > rest.stated) {
    rest.stated = old.stated
    rest.quota ||= old.quota
  }
  if (!pool.rest(entry, rest, until, now)) {
    if (old !== undefined) {
      old.stated = Math.max(old.stated, rest.stated)
      compare(old, now)
    }
    return []
  }
  compare(rest, now)
  pool.settle(entry)
  const moved = rest.at - Math.max(before, now.mono)
  if (rest.at - now.mono < STORED_FROM || moved < WORTH_STORING) return []
  entry.storedRests.add(rest.scope)
  return [{ set: "cooldown", cooldown: describe(rest, now) }]
}

/** Finds out whether a cooldown waits for a quota but ends before the stated reset. */
function compare(rest: Rest, now: Now): void {
  rest.early = rest.quota && rest.stated - wallOf(rest.at, now) >= EARLY
}

/** Until when a reading says that what a cooldown of `scope` is about is out of quota, in wall time; null: not, or it does not say. */
export function stillOut(reading: QuotaReading & { readonly kind: "ok" }, scope: string): number | null {
  return reading.limitedUntil ?? reading.models.get(scope) ?? null
}

/**
 * A cooldown has come due before its stated reset, and the upstream says that the quota is used up until `until` (wall): it grows
 * by the next step of the ladder, but not beyond that. Returns what the store must know.
 */
export function confirm(
  pool: CredentialPool,
  rest: Rest,
  until: number,
  ladder: readonly number[],
  now: Now,
): readonly StateChange[] {
  const { entry, cause, scope } = rest
  rest.strikes = entry.strikes.again(cause, scope, pool.youngest)
  rest.stated = until
  pool.postpone(rest, now.mono + Math.min(rung(ladder, rest.strikes), until - now.wall), now)
  compare(rest, now)
  entry.storedRests.add(scope)
  return [{ set: "cooldown", cooldown: describe(rest, now) }]
}

/** A cooldown as it is stored. */
export function describe(rest: Rest, now: Now): Cooldown {
  const { scope, stated, cause, strikes, quota } = rest
  return { scope, until: wallOf(rest.at, now), stated, cause, strikes, quota }
}

/** Takes the credential out of rotation for a reason that an operator can act on; a recheck ladder brings it back for a probe. */
export function park(
  pool: CredentialPool,
  entry: Entry,
  lease: number,
  action: ParkAction,
  now: Now,
): readonly StateChange[] {
  const before = entry.standing
  if (before.kind === "disabled" || before.kind === "banned") return []
  const { reason, detail, url, recheck } = action
  const { count } = entry.strikes.hit(`park:${reason}`, ALL_MODELS, lease, pool.youngest)
  if (before.kind === "parked") {
    // One of the same volley: only the newest page to act on is of interest.
    if (before.reason !== reason || url === null || url === before.url) return []
    return stand(pool, entry, { ...before, detail, url })
  }
  const wait = recheck === undefined || recheck.length === 0 ? null : rung(recheck, count)
  if (wait === null) pool.heap.remove(entry.parole)
  else pool.heap.set(entry.parole, now.mono + wait)
  const until = wait === null ? null : Math.round(now.wall + wait)
  return stand(pool, entry, { kind: "parked", reason, detail, url, since: now.wall, until, strikes: count })
}

function ban(pool: CredentialPool, entry: Entry, reason: string, detail: string, now: Now): readonly StateChange[] {
  if (entry.standing.kind === "banned") return []
  return stand(pool, entry, { kind: "banned", reason, detail, since: now.wall })
}

/** Gives the credential a standing, settles it, and returns the change to store. */
export function stand(pool: CredentialPool, entry: Entry, standing: Standing): readonly StateChange[] {
  entry.standing = standing
  entry.onParole = false
  if (standing.kind !== "parked") pool.heap.remove(entry.parole)
  pool.settle(entry)
  return [{ set: "standing", standing }]
}

/** A request was served: failures in a row end. Returns what the store must know; nothing in the usual case. */
export function absolve(entry: Entry, model: string, lease: number): readonly StateChange[] {
  const changes: StateChange[] = []
  for (const scope of entry.strikes.succeed(model, lease)) {
    if (!entry.rests.has(scope) && entry.storedRests.delete(scope)) changes.push({ set: "cooldown_over", scope })
  }
  if (entry.onParole && entry.active) {
    entry.onParole = false
    changes.push({ set: "standing", standing: entry.standing })
  }
  return changes
}
