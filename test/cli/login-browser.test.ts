import { describe, expect, test } from "bun:test"
import type { Static, TSchema } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"
import type { Io } from "../../src/cli/command.ts"
import { type BrowserLogin, browserLogin } from "../../src/cli/login-browser.ts"
import { type Server, ServerError } from "../../src/cli/server.ts"
import type { LoginState } from "../../src/cli/shapes.ts"
import { until } from "../support/wait.ts"

const STATE = "state-of-this-very-login"

interface Stage {
  readonly login: BrowserLogin
  /** What was said to the person. */
  said(): string
  readonly posts: readonly { readonly path: string; readonly body: Record<string, unknown> }[]
  /** Ends the login at the server. */
  end(state: Partial<LoginState>): void
  /** Lets timers of up to `ms` milliseconds ring. */
  pass(ms: number): void
  /** The person types a line. */
  type(line: string | null): void
  redirect(): URL
}

/** A login at a server that is only told of here, with timers driven by hand. */
function stage(change: Partial<BrowserLogin> & { readonly url?: string; readonly interactive?: boolean }): Stage {
  const said: string[] = []
  const posts: { path: string; body: Record<string, unknown> }[] = []
  const timers = new Set<{ readonly ms: number; readonly task: () => void }>()
  const ended = Promise.withResolvers<LoginState>()
  let asked: ((line: string | null) => void) | null = null
  let redirect = ""

  const believed = <T extends TSchema>(shape: T, value: unknown): Static<T> => Value.Decode(shape, value)
  const server: Server = {
    url: change.url ?? "http://127.0.0.1:8188",
    config: null,
    get: async (_, shape) => believed(shape, await ended.promise),
    async post(path, body, shape) {
      const record = Object(body)
      posts.push({ path, body: record })
      if (path.endsWith("/login")) {
        redirect = `http://localhost:${record.redirect_port ?? 8188}/auth/callback`
        const url = `https://auth.example.com/authorize?state=${STATE}&redirect_uri=${encodeURIComponent(redirect)}`
        return believed(shape, { id: "login-1", url, redirect_uri: redirect, expires: 1 })
      }
      if (String(record.url).includes("code=bad")) {
        throw new ServerError("pollux: refused", 77, 403, "TOKEN_EXCHANGE_FAILED", "the code is spent")
      }
      return believed(shape, { id: "login-1", status: "done", credential: 3 })
    },
    stream: () => Promise.reject(new Error("not used")),
  }
  const io: Pick<Io, "interactive" | "err" | "readLine"> = {
    interactive: change.interactive ?? false,
    err: (text) => void said.push(text),
    readLine: (prompt, signal) => {
      said.push(prompt)
      return new Promise((resolve) => {
        asked = resolve
        signal?.addEventListener("abort", () => resolve(null))
      })
    },
  }
  const unused = () => {
    throw new Error("not used")
  }
  return {
    login: {
      provider: "geminicli",
      server,
      io: {
        env: {},
        cwd: "/",
        version: "0",
        terminal: false,
        color: false,
        columns: 80,
        out: unused,
        readInput: unused,
        onSignal: unused,
        onFault: unused,
        exitNow: unused,
        ...io,
      },
      desktop: { platform: "linux", env: {} },
      timers: {
        after(ms, task) {
          const timer = { ms, task }
          timers.add(timer)
          return () => void timers.delete(timer)
        },
      },
      project: null,
      paste: false,
      browser: false,
      ...change,
    },
    said: () => said.join(""),
    posts,
    end: (state) => ended.resolve({ id: "login-1", status: "done", ...state }),
    pass(ms) {
      for (const timer of [...timers]) {
        if (timer.ms > ms) continue
        timers.delete(timer)
        timer.task()
      }
    },
    type(line) {
      const take = asked
      asked = null
      take?.(line)
    },
    redirect: () => new URL(redirect),
  }
}

const finished = (on: Stage) => on.posts.filter(({ path }) => path.endsWith(":finish")).map(({ body }) => body.url)
const begun = (on: Stage) => until("the login has begun", () => on.said().includes("https://auth.example.com"))

describe("a login at a server on this machine", () => {
  test("is received by the server itself, and its outcome is waited for", async () => {
    const on = stage({ project: "my-project" })
    const outcome = browserLogin(on.login)
    await begun(on)
    expect(on.posts).toEqual([{ path: "/geminicli/login", body: { project_id: "my-project" } }])
    expect(on.said()).toContain(`https://auth.example.com/authorize?state=${STATE}`)
    on.end({ credential: 7 })
    expect(await outcome).toMatchObject({ status: "done", credential: 7 })
  })
  test("over SSH comes with the tunnel that the browser needs", async () => {
    const on = stage({ desktop: { platform: "linux", env: { SSH_CONNECTION: "192.0.2.1 5 192.0.2.2 22" } } })
    const outcome = browserLogin(on.login)
    await begun(on)
    expect(on.said()).toContain("ssh -N -L 8188:localhost:8188 192.0.2.2")
    on.end({})
    await outcome
  })
})

describe("a login at a server elsewhere", () => {
  test("is received here, and handed on", async () => {
    const on = stage({ url: "https://pollux.example.com" })
    const outcome = browserLogin(on.login)
    await begun(on)
    expect(on.posts[0]?.body.redirect_port).toBe(Number(on.redirect().port))
    const page = await fetch(`${on.redirect().href}?code=good&state=${STATE}`)
    expect(page.status).toBe(202)
    expect(await page.text()).toContain("Success")
    expect(finished(on)).toEqual([`${on.redirect().href}?code=good&state=${STATE}`])
    on.end({})
    expect(await outcome).toMatchObject({ status: "done" })
  })
  test("takes nobody else's: an address with another state is not handed on", async () => {
    const on = stage({ url: "https://pollux.example.com" })
    const outcome = browserLogin(on.login)
    await begun(on)
    for (const query of ["code=theirs&state=another-login", "code=theirs", "state=", `code=a&code=b&state=${STATE}`]) {
      const page = await fetch(`${on.redirect().href}?${query}`)
      expect(page.status).toBe(403)
      expect(await page.text()).toContain("belongs to no login")
    }
    expect(finished(on)).toEqual([])
    on.end({})
    await outcome
  })
  test("tells the browser when the server refuses", async () => {
    const on = stage({ url: "https://pollux.example.com" })
    const outcome = browserLogin(on.login)
    await begun(on)
    const page = await fetch(`${on.redirect().href}?code=bad&state=${STATE}`)
    expect(page.status).toBe(403)
    expect(await page.text()).toContain("the code is spent")
    on.end({ status: "failed", reason: "TOKEN_EXCHANGE_FAILED" })
    expect(await outcome).toMatchObject({ status: "failed" })
  })
})

describe("an address that is pasted", () => {
  const address = `http://localhost:8188/auth/callback?code=good&state=${STATE}`

  test("is offered on a terminal when nothing has come back for 15 seconds", async () => {
    const on = stage({ interactive: true })
    const outcome = browserLogin(on.login)
    await begun(on)
    on.pass(14_999)
    await Bun.sleep(5)
    expect(on.said()).not.toContain("Address:")
    on.pass(15_000)
    await until("it asks", () => on.said().includes("Address:"))
    on.type(address)
    await until("it is handed on", () => finished(on).length > 0)
    expect(finished(on)).toEqual([address])
    on.end({})
    expect(await outcome).toMatchObject({ status: "done" })
  })
  test("is not waited for once the browser has come back", async () => {
    const on = stage({ interactive: true })
    const outcome = browserLogin(on.login)
    await begun(on)
    on.pass(15_000)
    await until("it asks", () => on.said().includes("Address:"))
    on.end({})
    expect(await outcome).toMatchObject({ status: "done" })
  })
  test("is asked for again until it is this login's", async () => {
    const on = stage({ paste: true })
    const outcome = browserLogin(on.login)
    for (const [line, answer] of [
      ["rubbish", "holds no code and state"],
      ["http://localhost:8188/auth/callback?code=theirs&state=another", "belongs to another login"],
    ] as const) {
      await until("it asks", () => on.said().endsWith("Address: "))
      on.type(line)
      await until(answer, () => on.said().includes(answer))
    }
    await until("it asks", () => on.said().endsWith("Address: "))
    on.type(address)
    await until("it is handed on", () => finished(on).length > 0)
    expect(finished(on)).toEqual([address])
    on.end({})
    await outcome
  })
  test("that never comes ends a login that can only be pasted", async () => {
    const on = stage({ paste: true })
    const outcome = browserLogin(on.login)
    await until("it asks", () => on.said().endsWith("Address: "))
    on.type(null)
    expect(await outcome).toMatchObject({ status: "failed", reason: "NO_ADDRESS" })
  })
})
