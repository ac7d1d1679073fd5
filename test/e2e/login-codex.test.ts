/** Codex logins without a browser of our own: loopback listener, pasted address, device flow (spec codex 10.15, 10.16). */
import { expect, test } from "bun:test"
import { answers, holdPort } from "../support/ports.ts"
import { until } from "../support/wait.ts"
import { CodexSystem } from "./support/codex.ts"

const JSON_TYPE = { "content-type": "application/json" }

const post = (system: CodexSystem, path: string, body: unknown = {}) =>
  system.pollux.api(path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) })

/** What the browser would do: consent at the fake; where it is sent back to. */
async function consent(authorize: string): Promise<string> {
  const response = await fetch(authorize, { redirect: "manual" })
  expect(response.status).toBe(302)
  return response.headers.get("location") ?? ""
}

/** Begins as a browser does; the login's cookie, and where the browser comes back to. */
async function enter(system: CodexSystem) {
  const entry = await fetch(`${system.pollux.url}/codex/auth`, { redirect: "manual" })
  expect(entry.status).toBe(307)
  const authorize = entry.headers.get("location") ?? ""
  return { authorize, cookie: entry.headers.get("set-cookie")?.split(";", 1)[0] ?? "", back: await consent(authorize) }
}

const visitor = (system: CodexSystem, email: string) => {
  const account = system.openai.addAccount({ email })
  system.openai.visit(account)
  return account
}

test("codex 10.16: the browser comes back to the loopback listener, which tells the truth and is open only meanwhile", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  visitor(system, "grace.hopper@example.com")
  const { authorize, back, cookie } = await enter(system)
  expect(authorize).not.toContain("+")
  expect(new URL(authorize).searchParams.get("code_challenge_method")).toBe("S256")
  const url = new URL(back)
  expect(url.pathname).toBe("/auth/callback")
  const done = await fetch(back.replace("localhost", "127.0.0.1"), { headers: { cookie } })
  expect(done.status).toBe(202)
  const text = await done.text()
  expect(text).toStartWith("Success")
  expect(text).not.toContain("grace.hopper@")
  expect(await system.only()).toMatchObject({ state: "ready", plan: "plus" })
  await until("the listener is closed", async () => !(await answers(Number(url.port))))
})

test("codex 10.16: port 1457 is taken where 1455 is busy", async () => {
  const held = await holdPort(1455)
  try {
    await using system = await CodexSystem.start({ accounts: 0 })
    visitor(system, "grace.hopper@example.com")
    const { back, cookie } = await enter(system)
    expect(new URL(back).port).toBe("1457")
    expect((await fetch(back.replace("localhost", "127.0.0.1"), { headers: { cookie } })).status).toBe(202)
  } finally {
    await held.free()
  }
})

test("codex 10.16: both aliases on Pollux's own port finish a login too, and never without its cookie", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  for (const path of ["/auth/callback", "/codex/auth/callback"]) {
    visitor(system, "grace.hopper@example.com")
    const { back, cookie } = await enter(system)
    const here = `${system.pollux.url}${path}${new URL(back).search}`
    expect((await fetch(here)).status).toBe(403)
    expect((await fetch(here, { headers: { cookie } })).status).toBe(202)
    expect((await fetch(here, { headers: { cookie } })).status).toBe(403)
  }
})

test("codex 10.16: an error= answer is explained, and escaped", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  system.openai.visit(null, "missing_codex_entitlement")
  const { back, cookie } = await enter(system)
  const refused = await fetch(back.replace("localhost", "127.0.0.1"), { headers: { cookie, accept: "text/html" } })
  expect(refused.status).toBe(400)
  expect(await refused.text()).toMatch(/workspace|Codex/)
  system.openai.visit(null, "<img src=x onerror=alert(1)>")
  const again = await enter(system)
  const page = await fetch(again.back.replace("localhost", "127.0.0.1"), {
    headers: { cookie: again.cookie, accept: "text/html" },
  })
  expect(await page.text()).not.toContain("<img")
})

test("codex 10.15: a login begun with the key is finished by the pasted address, and shows its outcome", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  visitor(system, "alan.turing@example.com")
  const begun = await post(system, "/codex/login")
  expect(begun.status).toBe(201)
  const { id, url } = Object(await begun.json())
  const status = async (query = "") => Object(await (await system.pollux.api(`/codex/login/${id}${query}`)).json())
  expect(await status()).toMatchObject({ id, status: "pending" })
  const waiting = status("?wait=20")
  const finished = await post(system, "/codex/login:finish", { url: await consent(url) })
  expect(finished.status).toBe(200)
  expect(await waiting).toMatchObject({ id, status: "done", credential: 1 })
  expect(await system.only()).toMatchObject({ state: "ready" })
  expect((await post(system, "/codex/login:finish", { url: "http://localhost:1455/auth/callback" })).status).toBe(400)
  expect((await system.pollux.api("/codex/login/none")).status).toBe(404)
  expect((await fetch(`${system.pollux.url}/codex/login`, { method: "POST" })).status).toBe(401)
})

test("codex 10.15: the device login needs no redirect at all", async () => {
  await using system = await CodexSystem.start({ accounts: 0 })
  const account = system.openai.addAccount({ email: "alan.turing@example.com" })
  const begun = Object(await (await post(system, "/codex/login:device")).json())
  expect(begun.verification_url).toEndWith("/codex/device")
  expect(system.openai.approveDevice(begun.user_code, account)).toBeTrue()
  const outcome = Object(await (await system.pollux.api(`/codex/login/${begun.id}?wait=20`)).json())
  expect(outcome).toMatchObject({ status: "done", kind: "device" })
  expect((await system.ask()).status).toBe(200)
  expect(system.pollux.leaks()).toEqual([])
})
