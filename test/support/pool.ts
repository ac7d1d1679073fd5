import type { Running } from "./binary.ts"
import { secret } from "./secrets.ts"

/** A seed as `resource:add` takes it. */
export interface SeedItem {
  readonly refresh_token: string
  readonly project_id?: string
}

/**
 * Adds refresh tokens and waits for their outcomes.
 * @returns the ids of the credentials, in the order of the seeds
 * @throws Error when a seed did not become a credential
 */
export async function addCredentials(pollux: Running, provider: string, seeds: readonly SeedItem[]): Promise<number[]> {
  for (const seed of seeds) secret(seed.refresh_token)
  const response = await pollux.api(`/${provider}/resource:add?wait=true`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify(seeds),
  })
  const text = await response.text()
  if (response.status !== 202) throw new Error(`resource:add answered ${response.status}: ${text}`)
  const shown: readonly { readonly credential?: number | null }[] = JSON.parse(text).seeds
  return shown.map(({ credential }) => {
    if (typeof credential !== "number") throw new Error(`a seed became no credential: ${text}`)
    return credential
  })
}
