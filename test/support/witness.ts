/** Gathers what a run showed to anybody, and every secret that was used in it, to compare the two. */
import type { FakeGoogle } from "../fakes/google.ts"
import type { FakeOpenAI } from "../fakes/openai.ts"
import type { Running } from "./binary.ts"
import { findLeaks } from "./leaks.ts"
import { knownSecrets, secret } from "./secrets.ts"

/** Form and JSON fields of the token endpoints that are secrets. */
const FIELDS = ["refresh_token", "code", "code_verifier", "device_auth_id", "user_code", "authorization_code"]

/**
 * Registers every token, code, verifier and address that Pollux has sent to the fakes or been given by them.
 * @returns how many there are
 */
export function registerUsed(google: FakeGoogle, openai: FakeOpenAI): number {
  const used = new Set<string>()
  const keep = (value: unknown) => {
    if (typeof value === "string" && value.length >= 8) used.add(value)
  }
  for (const { email, refreshToken, accessToken } of google.accounts) [email, refreshToken, accessToken].forEach(keep)
  for (const { email, refreshToken } of openai.accounts) [email, refreshToken].forEach(keep)
  for (const { headers, body } of [...google.requests, ...openai.requests]) {
    keep(/^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1])
    const type = headers["content-type"] ?? ""
    if (type.startsWith("application/x-www-form-urlencoded")) {
      const form = new URLSearchParams(body)
      for (const name of [...FIELDS, "client_secret"]) keep(form.get(name))
    } else if (body.includes("refresh_token") || body.includes("device")) {
      const fields: unknown = JSON.parse(body)
      for (const name of FIELDS) keep(Reflect.get(Object(fields), name))
    }
  }
  for (const value of used) secret(value)
  return used.size
}

/** Everything that was shown: each answer that was asked for through it, and whatever else is handed to it. */
export class Witness {
  readonly shown: { readonly what: string; readonly text: string }[] = []

  constructor(readonly pollux: Running) {}

  see(what: string, text: string): void {
    this.shown.push({ what, text })
  }

  /** A request, with the key unless it brings its own; the whole answer is kept. */
  async ask(path: string, init: BunFetchRequestInit = {}): Promise<{ status: number; headers: Headers; text: string }> {
    const response = await this.pollux.api(path, { redirect: "manual", ...init })
    const text = await response.text().catch((error: unknown) => String(error))
    const { status, headers } = response
    // What a login must be told: where to go, and the cookie that binds it.
    const told = [...headers].filter(([name]) => name !== "location" && name !== "set-cookie")
    this.see(
      `${init.method ?? "GET"} ${path.split("?")[0]}: ${status}`,
      `${told.map((line) => line.join(": ")).join("\n")}\n\n${text}`,
    )
    return { status, headers, text }
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) {
    return this.ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    })
  }

  /** Where a registered secret, or anything of a secret's form, stands; a test expects nowhere. */
  leaks(): readonly string[] {
    const secrets = knownSecrets()
    return this.shown.flatMap(({ what, text }) => findLeaks(text, secrets).map((leak) => `${what}: ${leak}`))
  }
}
