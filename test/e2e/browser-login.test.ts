import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type BrowserContext, chromium, type Page, type Response } from "playwright-core"
import { findChromium } from "../../scripts/lib/needs.ts"
import { type FakeGoogle, startFakeGoogle } from "../fakes/google.ts"
import { type FakeOpenAI, startFakeOpenAI } from "../fakes/openai.ts"
import { type Running, startPollux } from "../support/binary.ts"
import { answers } from "../support/ports.ts"
import { until } from "../support/wait.ts"

let google: FakeGoogle
let openai: FakeOpenAI
let pollux: Running
let browser: BrowserContext
const profile = mkdtempSync(join(tmpdir(), "pollux-browser-"))

beforeAll(async () => {
  google = startFakeGoogle()
  openai = await startFakeOpenAI()
  pollux = await startPollux({ config: `${google.config()}\n${openai.config()}` })
  const executablePath = findChromium()
  if (executablePath === null) throw new Error("Chromium is not installed; scripts/test installs it")
  browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    // The browser must look up no host of its own: nothing beyond loopback may be reached.
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  })
})
afterAll(async () => {
  await browser?.close()
  await pollux?.[Symbol.asyncDispose]()
  await Promise.all([google?.stop(), openai?.stop()])
  rmSync(profile, { recursive: true, force: true })
})

interface Visited {
  readonly url: URL
  readonly status: number
  readonly text: string
}

/**
 * Opens a page and gives what stands on the one where it ends.
 * @param finish what a person does there before it is read
 */
async function visit(url: string, finish?: (page: Page) => Promise<Response | null>): Promise<Visited> {
  const page = await browser.newPage()
  try {
    let response = await page.goto(url)
    if (finish !== undefined) response = await finish(page)
    const text = (await page.textContent("body")) ?? ""
    return { url: new URL(page.url()), status: response?.status() ?? 0, text: text.trim() }
  } finally {
    await page.close()
  }
}

/** Begins a login without the browser, which therefore lacks its cookie; gives the provider's page. */
async function beginElsewhere(provider: string): Promise<string> {
  const begun = await fetch(`${pollux.url}/${provider}/auth`, { redirect: "manual" })
  return begun.headers.get("location") ?? ""
}

async function listed(provider: string): Promise<readonly Record<string, unknown>[]> {
  return Object(await (await pollux.api(`/${provider}/resource:list`)).json()).credentials
}

test("a Google login in the browser ends with Success and the masked identity, and the account serves", async () => {
  google.signIn(google.addAccount({ email: "ada.lovelace@example.com" }))
  const page = await visit(`${pollux.url}/geminicli/auth`)
  expect(page.status).toBe(202)
  expect(page.text).toStartWith("Success")
  expect(page.text).toContain("@")
  expect(page.text).not.toContain("ada.lovelace@example.com")
  expect(page.url.pathname).toBe("/oauth2callback")
  expect(await listed("geminicli")).toMatchObject([{ state: "ready" }])
  const answer = await pollux.api("/geminicli/v1beta/models/gemini-2.5-pro:generateContent", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Hi" }] }] }),
  })
  expect(answer.status).toBe(200)
})

test("a refused consent is explained, and adds nothing", async () => {
  google.signIn({ error: "access_denied" })
  const before = (await listed("geminicli")).length
  const page = await visit(`${pollux.url}/geminicli/auth`)
  expect(page.status).toBeGreaterThanOrEqual(400)
  expect(page.status).toBeLessThan(500)
  expect(page.text).toMatch(/denied|refused|declined/i)
  expect(await listed("geminicli")).toHaveLength(before)
})

test("a ChatGPT login comes back to the loopback listener, which is open only while it is pending", async () => {
  openai.visit(openai.addAccount({ email: "grace.hopper@example.com" }))
  const page = await visit(`${pollux.url}/codex/auth`)
  expect(page.status).toBe(202)
  expect(page.text).toStartWith("Success")
  expect(page.text).not.toContain("grace.hopper@example.com")
  expect(page.url.pathname).toBe("/auth/callback")
  expect(page.url.hostname).toBe("localhost")
  expect(["1455", "1457"]).toContain(page.url.port)
  expect(await listed("codex")).toMatchObject([{ state: "ready" }])
  await until("the loopback listener is closed", async () => !(await answers(Number(page.url.port))))
})

test("a login that comes back without its cookie is finished with the Pollux key, and with no other", async () => {
  openai.visit(openai.addAccount({ email: "alan.turing@example.com" }))
  const before = await listed("codex")
  const typing = (key: string) => async (page: Page) => {
    expect(await page.textContent("body")).toContain("Was it you")
    await page.fill("input[type=password]", key)
    const [response] = await Promise.all([page.waitForNavigation(), page.click("button")])
    return response
  }
  const refused = await visit(await beginElsewhere("codex"), typing("not-the-key"))
  expect(refused.status).toBeGreaterThanOrEqual(400)
  expect(await listed("codex")).toHaveLength(before.length)
  const finished = await visit(await beginElsewhere("codex"), typing(pollux.key))
  expect(finished.status).toBe(202)
  expect(finished.text).toStartWith("Success")
  expect(await listed("codex")).toHaveLength(before.length + 1)
})

test("a callback that another browser was lured to is refused without an exchange", async () => {
  google.signIn(google.addAccount())
  const consent = await fetch(await beginElsewhere("geminicli"), { redirect: "manual" })
  const before = google.seen("token").length
  const page = await visit(consent.headers.get("location") ?? "")
  expect(page.status).toBe(403)
  expect(google.seen("token")).toHaveLength(before)
})

test("nothing of all this leaves a secret in the log", () => {
  expect(pollux.leaks()).toEqual([])
})
