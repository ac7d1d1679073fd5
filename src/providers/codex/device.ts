/** Login without a redirect: the person types a code on the provider's page (spec codex 1.1). */
import type { CodexSettings } from "../../config/types.ts"
import type { DeviceFlow, Exchanged } from "../../http/ports.ts"
import type { Live } from "../../observe/clock.ts"
import { redact } from "../../observe/redact.ts"
import { networkFailure } from "../../relay/network.ts"
import type { Fetcher } from "../../relay/ports.ts"
import { readError } from "./errors.ts"
import { type Json, number, parseObject, text } from "./json.ts"

const LIFETIME_MS = 15 * 60_000
const DEFAULT_INTERVAL_S = 5
const LONGEST_INTERVAL_S = 60

interface DeviceDeps {
  readonly settings: Live<CodexSettings>
  readonly fetcher: Fetcher
}

type ExchangeCode = (
  p: { readonly code: string; readonly verifier: string; readonly redirectUri: string },
  signal: AbortSignal,
) => Promise<Exchanged>

/** All URLs follow from the token endpoint's origin. */
export function createDeviceFlow(deps: DeviceDeps, clientId: string, exchange: ExchangeCode): DeviceFlow {
  const origin = (): string => new URL(deps.settings.current.tokenUrl).origin

  async function post(path: string, body: Json, signal: AbortSignal): Promise<{ status: number; text: string }> {
    const headers = { "content-type": "application/json", accept: "application/json" }
    const init = { method: "POST", headers, body: JSON.stringify(body), signal } as const
    const response = await deps.fetcher(`${origin()}/api/accounts/deviceauth/${path}`, init)
    return { status: response.status, text: await response.text() }
  }

  return {
    async start(signal) {
      try {
        const answer = await post("usercode", { client_id: clientId }, signal)
        if (answer.status === 404) return failure("The provider does not offer the device login.")
        if (answer.status < 200 || answer.status > 299) return failure(refusal(answer.status, answer.text))
        const body = parseObject(answer.text)
        const id = text(body?.device_auth_id)
        const userCode = text(body?.user_code) ?? text(body?.usercode)
        if (id === null || userCode === null) return failure("The provider's answer carries no device code.")
        const seconds = number(body?.interval) ?? DEFAULT_INTERVAL_S
        return {
          userCode,
          verificationUrl: `${origin()}/codex/device`,
          handle: JSON.stringify({ device_auth_id: id, user_code: userCode }),
          intervalMs: Math.min(Math.max(seconds, 1), LONGEST_INTERVAL_S) * 1000,
          expiresInMs: LIFETIME_MS,
        }
      } catch (error) {
        return failure(`The provider could not be reached: ${networkFailure(error).detail}.`)
      }
    },

    async poll(handle, signal) {
      const asked = parseObject(handle)
      if (asked === null) return exchangeFailure("The device login is not known.")
      let answer: { status: number; text: string }
      try {
        answer = await post("token", asked, signal)
      } catch {
        // The person may still be typing: a broken poll is asked again.
        return { kind: "slow_down" }
      }
      // Until the person has said yes, the provider answers 403 or 404.
      if (answer.status === 403 || answer.status === 404) return { kind: "pending" }
      if (answer.status === 429 || answer.status >= 500) return { kind: "slow_down" }
      const body = parseObject(answer.text)
      const code = text(body?.authorization_code)
      const verifier = text(body?.code_verifier)
      if (answer.status !== 200 || code === null || verifier === null) {
        return exchangeFailure(refusal(answer.status, answer.text))
      }
      return exchange({ code, verifier, redirectUri: `${origin()}/deviceauth/callback` }, signal)
    },
  }
}

function failure(message: string): { readonly kind: "failed"; readonly message: string } {
  return { kind: "failed", message }
}

function exchangeFailure(message: string): Exchanged {
  return { kind: "failed", code: "TOKEN_EXCHANGE_FAILED", message }
}

function refusal(status: number, body: string): string {
  const { message, code } = readError(body)
  return `The provider refused the device login with ${status}: ${redact(message ?? code ?? "no reason given").slice(0, 300)}`
}
