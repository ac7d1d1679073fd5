import type { Clock } from "../observe/clock.ts"
import type { Log } from "../observe/ports.ts"
import type { AdminResult, Pool } from "../scheduler/ports.ts"
import { SeedsFull } from "../scheduler/seeds-full.ts"
import type { SeedOutcome } from "../store/types.ts"
import { member, parseJson, parseObject, saysJson } from "./body.ts"
import { json, refuse, text } from "./faults.ts"
import type { Access } from "./guard.ts"
import { parseSeeds, type SeedList } from "./seed-list.ts"
import { showCredential, showExplanation, showOutcome } from "./show.ts"
import type { Visit } from "./visit.ts"
import { acceptsJson, waitOf } from "./waiting.ts"

/** Seconds that `resource:add?wait=true` waits for outcomes, and the most that can be asked for. */
const USUAL_WAIT = 60
const LONGEST_WAIT = 120

/** Seconds after which seeds are offered again that were too many: some hundred have been tried by then. */
const SEEDS_FULL_WAIT = 60

/** Seeds shown by `resource:list`, newest first. */
const LISTED_SEEDS = 1_000

/** Longest session name and model name that `resource:explain` takes. */
const NAME_LENGTH = 256

export interface ResourceDeps {
  readonly name: string
  readonly pool: Pool
  readonly clock: Clock
  readonly log: Log
  /** The provider's models, for the totals. */
  models(): readonly string[]
  seedAccount(item: Readonly<Record<string, unknown>>): string | null
  /** See ProviderModule. */
  sessionNames(session: string): readonly string[]
}

/** One verb of a provider: `POST /{provider}/{verb}`. */
export interface Verb {
  readonly method: "GET" | "POST"
  readonly access: Access
  readonly run: (visit: Visit) => Response | Promise<Response>
}

/** The verbs by which an operator works on one provider's pool. */
export function resourceVerbs(deps: ResourceDeps): Readonly<Record<string, Verb>> {
  const { pool } = deps
  const onOne = (act: (id: number) => AdminResult | Promise<AdminResult>): Verb => ({
    method: "POST",
    access: "admin",
    run: async (visit) => {
      const id = credentialId(parseObject(await visit.body()))
      return answerVerb(await written(deps, async () => act(id)))
    },
  })
  return {
    "resource:add": { method: "POST", access: "operator", run: (visit) => add(deps, visit) },
    "resource:list": { method: "GET", access: "admin", run: () => list(deps) },
    "resource:remove": onOne((id) => pool.remove(id)),
    "resource:disable": onOne((id) => pool.disable(id)),
    "resource:enable": onOne((id) => pool.enable(id)),
    "resource:clear": onOne((id) => pool.clear(id)),
    "resource:refresh": onOne((id) => pool.refresh(id)),
    "resource:explain": { method: "POST", access: "admin", run: (visit) => explain(deps, visit) },
  }
}

/** 202 means stored (DESIGN section 5): the pool has the seeds in its database before an answer is made. */
async function add(deps: ResourceDeps, visit: Visit): Promise<Response> {
  const wait = waitOf(visit.query, USUAL_WAIT, LONGEST_WAIT)
  if (!saysJson(visit.request.headers)) {
    refuse({ kind: "invalid_request", message: "expected content-type application/json" })
  }
  const seeds = parseSeeds(parseJson(await visit.body()), deps.seedAccount)
  const stored = await written(deps, async () => deps.pool.seeds(seeds.hints))
  if (wait === null) return acceptsJson(visit.request.headers) ? accepted(seeds, stored) : text("Success", 202)
  const deadline = deps.clock.mono() + wait
  const outcomes = await Promise.all(
    stored.map(async (seed) =>
      seed.kind === "pending" ? ((await deps.pool.outcome(seed.id, deadline)) ?? seed) : seed,
    ),
  )
  return accepted(seeds, outcomes)
}

/** A change that must be in the database before it is answered; 503 when it could not be written there. */
async function written<T>({ log, name }: ResourceDeps, change: () => Promise<T>): Promise<T> {
  try {
    return await change()
  } catch (error) {
    if (error instanceof SeedsFull) {
      log.warn("seeds refused, since too many wait", { provider: name, error: error.message })
      return refuse({ kind: "unavailable", message: error.message, retryAfter: SEEDS_FULL_WAIT })
    }
    log.error("could not be stored", { provider: name, error: error instanceof Error ? error.message : String(error) })
    return refuse({ kind: "unavailable", message: "the database could not be written; nothing was changed" })
  }
}

function accepted(seeds: SeedList, outcomes: readonly SeedOutcome[]): Response {
  return json(
    {
      accepted: outcomes.length,
      blanks: seeds.blanks,
      duplicates: seeds.duplicates,
      seeds: outcomes.map(showOutcome),
    },
    202,
  )
}

function list({ name, pool, models }: ResourceDeps): Response {
  return json({
    provider: name,
    counts: pool.counts(),
    models: Object.fromEntries(models().map((model) => [model, { ready: pool.ready(model) }])),
    credentials: pool.list().map(showCredential),
    seeds: pool.seedRecords(LISTED_SEEDS).map((record) => ({
      ...showOutcome(record.outcome),
      createdAt: record.createdAt,
      updatedAt: record.updatedAt,
    })),
  })
}

async function explain({ pool, sessionNames }: ResourceDeps, visit: Visit): Promise<Response> {
  const body = parseObject(await visit.body())
  const model = name(body, "model")
  const session = name(body, "session")
  if (model === null) return refuse({ kind: "invalid_request", message: "model: expected the name of a model" })
  const [first = null, ...others] = session === null ? [] : sessionNames(session)
  let explained = pool.explain(model, first)
  for (const other of others) {
    if (explained.some(({ sticky }) => sticky)) break
    explained = pool.explain(model, other)
  }
  return json({ model, session, credentials: explained.map(showExplanation) })
}

/** A name out of a body, null when absent. */
function name(body: Readonly<Record<string, unknown>>, of: "model" | "session"): string | null {
  const value = member(body, of)
  if (value === undefined || value === null || value === "") return null
  if (typeof value === "string" && value.length <= NAME_LENGTH) return value
  return refuse({ kind: "invalid_request", message: `${of}: expected a name of at most ${NAME_LENGTH} characters` })
}

function credentialId(body: Readonly<Record<string, unknown>>): number {
  const id = member(body, "id")
  if (typeof id === "number" && Number.isSafeInteger(id) && id > 0) return id
  return refuse({ kind: "invalid_request", message: 'expected {"id": N}, the number of a credential' })
}

function answerVerb(result: AdminResult): Response {
  switch (result.kind) {
    case "ok":
      return json({ ok: true, credential: result.credential === null ? null : showCredential(result.credential) })
    case "not_found":
      return refuse({ kind: "not_found", message: "no credential has this id" })
    case "failed":
      return json({ error: { code: "FAILED", message: result.reason } }, 409)
  }
}
