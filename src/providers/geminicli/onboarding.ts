/** Gets an account ready for Cloud Code: loadCodeAssist, and onboardUser with its long-running operation. */
import type { Clock, Live, Timers } from "../../observe/clock.ts"
import { redact } from "../../observe/redact.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import type { Identified } from "../../scheduler/ports.ts"
import { statedDelay } from "./delays.ts"
import { actionUrl, hasReason, readProblem } from "./errors.ts"
import { isObject, type JsonObject, objectOr, parseJson, textOr } from "./json.ts"
import {
  afterLoad,
  afterOnboarding,
  afterRefusal,
  checkProject,
  loadBody,
  type Onboard,
  operationName,
  type Ready,
  type Refused,
  refused,
  STANDARD_TIER,
} from "./setup.ts"
import { headersFor, methodUrl } from "./upstream.ts"

/** Between two looks at an operation. */
const POLL_MS = 5_000
/** A pending answer sometimes has no name to ask for: then onboardUser is asked again. */
const REPOST_MS = 2_000
const DEADLINE_MS = 180_000

export interface OnboardingDeps {
  readonly settings: Live<{ readonly apiUrl: string; readonly clientVersion: string }>
  readonly fetcher: Fetcher
  readonly clock: Clock
  readonly timers: Timers
}

type Transient = Extract<Identified, { kind: "transient" }>
type Answered = { readonly kind: "answer"; readonly body: JsonObject }

const transient = (reason: string, detail: string, retryAfterMs: number | null = null): Transient => ({
  kind: "transient",
  reason,
  detail,
  retryAfterMs,
})

/** Codes of google.rpc.Code that pass by themselves: DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, INTERNAL, UNAVAILABLE. */
const PASSING_CODES = new Set([4, 8, 10, 13, 14])

/** One account's way to its project. */
export class Onboarding {
  constructor(
    private readonly deps: OnboardingDeps,
    private readonly token: string,
    /** The operator's Cloud project, or null. */
    private readonly wanted: string | null,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<Ready | Refused | Transient> {
    const wrong = checkProject(this.wanted)
    if (wrong !== null) return wrong
    const load = await this.#load()
    if (load.kind !== "answer") return load
    const next = afterLoad(load.body, this.wanted)
    if (next.kind !== "onboard") return next
    const operation = await this.#onboard(next)
    if (operation.kind === "answer") return afterOnboarding(operation.body, next, load.body, this.wanted)
    return operation.kind === "refused" ? afterRefusal(operation, next, load.body, this.wanted) : operation
  }

  async #load(): Promise<Answered | Refused | Transient> {
    const answer = await this.#call("loadCodeAssist", loadBody(this.wanted))
    // Inside a service perimeter the question itself is forbidden; such accounts have the standard tier.
    return answer.kind === "refused" && answer.reason === "SECURITY_POLICY_VIOLATED"
      ? { kind: "answer", body: { currentTier: { id: STANDARD_TIER } } }
      : answer
  }

  /** Asks until the operation is done. */
  async #onboard(onboard: Onboard): Promise<Answered | Refused | Transient> {
    const deadline = this.deps.clock.mono() + DEADLINE_MS
    let answer = await this.#call("onboardUser", onboard.body)
    while (answer.kind === "answer") {
      const failed = failureOf(answer.body)
      if (failed !== null) return failed
      if (answer.body.done === true) return answer
      const name = operationName(answer.body)
      const pause = name === null ? REPOST_MS : POLL_MS
      if (this.deps.clock.mono() + pause > deadline)
        return transient("ONBOARD_TIMEOUT", "Google has not finished setting up the account yet.", DEADLINE_MS)
      if (!(await this.#sleep(pause))) return transient("aborted", "The set-up was stopped.")
      answer = name === null ? await this.#call("onboardUser", onboard.body) : await this.#poll(name)
    }
    return answer
  }

  #call(method: "loadCodeAssist" | "onboardUser", body: JsonObject): Promise<Answered | Refused | Transient> {
    return this.#fetch(method, methodUrl(this.deps.settings.current.apiUrl, method), JSON.stringify(body))
  }

  #poll(name: string): Promise<Answered | Refused | Transient> {
    return this.#fetch("operation", `${this.deps.settings.current.apiUrl}/v1internal/${name}`, null)
  }

  async #fetch(what: string, url: string, body: string | null): Promise<Answered | Refused | Transient> {
    try {
      const response = await this.deps.fetcher(url, {
        method: body === null ? "GET" : "POST",
        headers: headersFor(this.token, this.deps.settings.current.clientVersion),
        ...(body === null ? {} : { body }),
        signal: this.signal,
      })
      return readSetupAnswer(what, response.status, response.headers, await response.text(), this.deps.clock.wall())
    } catch (error) {
      return transient("network", `Cloud Code could not be reached: ${networkFailure(error).detail}.`)
    }
  }

  /** False if aborted meanwhile. */
  #sleep(ms: number): Promise<boolean> {
    const { signal } = this
    if (signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      const finish = (slept: boolean) => {
        cancel()
        signal.removeEventListener("abort", stop)
        resolve(slept)
      }
      const stop = () => finish(false)
      const cancel = this.deps.timers.after(ms, () => finish(true))
      signal.addEventListener("abort", stop)
    })
  }
}

/** Pure. A 4xx that Cloud Code explains is its answer about the account; everything else passes. */
export function readSetupAnswer(
  what: string,
  status: number,
  headers: Headers,
  text: string,
  now: number,
): Answered | Refused | Transient {
  if (status >= 200 && status < 300) {
    const body = parseJson(text)
    return isObject(body)
      ? { kind: "answer", body }
      : transient("unreadable", `Cloud Code's answer to ${what} could not be understood.`)
  }
  const problem = readProblem(text, status)
  const reason = problem.reasons[0] ?? (problem.status === "" ? `HTTP_${status}` : problem.status)
  const detail = redact(problem.message === "" ? `Cloud Code answered ${status} to ${what}.` : problem.message)
  const final = problem.understood && [400, 402, 403, 404].includes(status)
  if (!final) return transient(reason, detail, statedDelay(problem, headers, now))
  const known = hasReason(problem, "SECURITY_POLICY_VIOLATED") ? "SECURITY_POLICY_VIOLATED" : reason
  return refused(known, detail, actionUrl(problem))
}

/** The error a finished operation ended with, or null. */
function failureOf(operation: JsonObject): Refused | Transient | null {
  const error = objectOr(operation.error)
  if (error === null) return null
  const detail = redact(textOr(error.message) ?? "Google could not set up the account.")
  return PASSING_CODES.has(Number(error.code)) ? transient("ONBOARD_FAILED", detail) : refused("ONBOARD_FAILED", detail)
}
