import { afterEach, describe, expect, test } from "bun:test"
import { answers, freePort, holdPort } from "../support/ports.ts"
import { until } from "../support/wait.ts"
import { type Bench, bench, posted } from "./support/edge.ts"
import { toyOAuth } from "./support/toy.ts"

const open: Bench[] = []

async function started(ports: readonly number[]): Promise<Bench & { readonly url: string }> {
  const oauth = toyOAuth("toy", {
    callbackPaths: ["/auth/callback", "/toy/auth/callback"],
    redirectPath: "/auth/callback",
    loopbackPorts: ports,
  })
  const made = bench({ oauth })
  open.push(made)
  return { ...made, url: made.edge.listen().url }
}

afterEach(async () => {
  for (const made of open.splice(0)) await made.edge.stop(true)
})

interface Login {
  readonly id: string
  readonly redirect_uri: string
  readonly state: string
}

async function login({ ask }: Bench): Promise<Login> {
  const body: { id: string; url: string; redirect_uri: string } = JSON.parse(
    await (await ask("/toy/login", { method: "POST" })).text(),
  )
  return { ...body, state: new URL(body.url).searchParams.get("state") ?? "" }
}

describe("a provider's fixed loopback port", () => {
  test("is open while a login is under way, and only then", async () => {
    const port = await freePort()
    const made = await started([port])
    expect(await answers(port)).toBe(false)
    const { redirect_uri, state } = await login(made)
    expect(redirect_uri).toBe(`http://localhost:${port}/auth/callback`)
    const back = await fetch(`http://127.0.0.1:${port}/auth/callback?code=c&state=${state}`)
    expect(back.status).toBe(202)
    expect(await back.text()).toStartWith("Success")
    expect(back.headers.get("connection")).toBe("close")
    await until("the port is closed", async () => !(await answers(port)))
  })

  test("stays open for the logins that are left, and closes when the last expires", async () => {
    const port = await freePort()
    const made = await started([port])
    const first = await login(made)
    await login(made)
    await made.ask("/toy/login:finish", posted({ code: "c", state: first.state }))
    expect(await answers(port)).toBe(true)
    made.time.advance(15 * 60_000)
    await until("the port is closed", async () => !(await answers(port)))
    expect((await login(made)).redirect_uri).toContain(String(port))
    expect(await answers(port)).toBe(true)
  })

  test("is the next one when the first is busy", async () => {
    const held = await holdPort()
    const second = await freePort()
    const made = await started([held.port, second])
    expect((await login(made)).redirect_uri).toBe(`http://localhost:${second}/auth/callback`)
    expect(made.logged).toContainEqual({ event: "login port is busy", fields: { port: held.port } })
    await held.free()
  })

  test("that is busy keeps nobody from logging in by pasting", async () => {
    const held = await holdPort()
    const made = await started([held.port])
    const { redirect_uri, state } = await login(made)
    expect(redirect_uri).toBe(`http://localhost:${held.port}/auth/callback`)
    const response = await made.ask("/toy/login:finish", posted({ url: `${redirect_uri}?code=c&state=${state}` }))
    expect(response.status).toBe(200)
    await held.free()
  })

  test("takes logins back and serves nothing else", async () => {
    const port = await freePort()
    const made = await started([port])
    await login(made)
    for (const path of ["/", "/toy/v1/models", "/healthz", "/toy/resource:list", "/toy/auth"]) {
      expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404)
    }
    expect((await fetch(`http://127.0.0.1:${port}/auth/callback`)).status).toBe(400)
  })

  test("takes the cookie of a login begun on the main port, and offers the form without it", async () => {
    const port = await freePort()
    const { url } = await started([port])
    const entry = await fetch(`${url}/toy/auth`, { redirect: "manual" })
    const state = new URL(entry.headers.get("location") ?? "").searchParams.get("state")
    const cookie = entry.headers.get("set-cookie")?.split(";", 1)[0] ?? ""
    const way = `http://127.0.0.1:${port}/auth/callback?code=c&state=${state}`
    const without = await fetch(way, { headers: { accept: "text/html" } })
    expect([without.status, (await without.text()).includes('<form method="post">')]).toEqual([403, true])
    expect((await fetch(way, { headers: { cookie } })).status).toBe(202)
  })

  test("also leads back through the main port, by each of its names", async () => {
    const made = await started([await freePort()])
    for (const path of ["/auth/callback", "/toy/auth/callback"]) {
      const { state } = await login(made)
      expect((await fetch(`${made.url}${path}?code=c&state=${state}`)).status).toBe(202)
    }
  })

  test("is not opened for limits that were reached anyway", async () => {
    const port = await freePort()
    const made = await started([port])
    for (let n = 0; n < 256; n++) await made.bare("/toy/auth", {}, `10.0.${n}.1`)
    made.time.advance(15 * 60_000)
    await until("the port is closed", async () => !(await answers(port)))
    const displaced = await made.bare("/toy/auth")
    expect(displaced.status).toBe(307)
  })

  test("closes with the edge", async () => {
    const port = await freePort()
    const made = await started([port])
    await login(made)
    await made.edge.stop(true)
    await until("the port is closed", async () => !(await answers(port)))
  })
})
