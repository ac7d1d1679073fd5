/** Both fakes and one Pollux that serves them, with a credential each: what most end-to-end tests begin with. */
import { type FakeGoogle, type FakeGoogleOptions, startFakeGoogle } from "../fakes/google.ts"
import { type FakeOpenAI, type FakeOpenAIOptions, startFakeOpenAI } from "../fakes/openai.ts"
import { type Running, type StartOptions, startPollux } from "./binary.ts"
import { addCredentials, type SeedItem } from "./pool.ts"

export interface World extends AsyncDisposable {
  readonly google: FakeGoogle
  readonly openai: FakeOpenAI
  readonly pollux: Running
}

export interface WorldOptions extends Omit<StartOptions, "config"> {
  readonly google?: FakeGoogleOptions
  readonly openai?: FakeOpenAIOptions
  /** Accounts added to each provider; default 1. */
  readonly accounts?: number
}

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const accounts = options.accounts ?? 1
  await using stack = new AsyncDisposableStack()
  const google = startFakeGoogle(options.google)
  stack.defer(() => google.stop())
  const openai = await startFakeOpenAI({ ...options.openai, accounts })
  stack.defer(() => openai.stop())
  const pollux = stack.use(await startPollux({ ...options, config: `${google.config()}\n${openai.config()}` }))
  for (let i = 0; i < accounts; i++) google.addAccount()
  await addCredentials(pollux, "geminicli", google.accounts.map(seedOf))
  await addCredentials(pollux, "codex", openai.accounts.map(seedOf))
  const all = stack.move()
  return { google, openai, pollux, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

function seedOf(account: { readonly refreshToken: string }): SeedItem {
  return { refresh_token: account.refreshToken }
}
