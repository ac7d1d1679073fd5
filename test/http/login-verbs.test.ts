import { describe, expect, test } from "bun:test"
import type { DeviceFlow, Exchanged } from "../../src/http/ports.ts"
import { until } from "../support/wait.ts"
import { clientKey, testConfig } from "./support/config.ts"
import { bench, posted } from "./support/edge.ts"
import { toyOAuth } from "./support/toy.ts"

interface Begun {
  readonly id: string
  readonly url: string
  readonly redirect_uri: string
  readonly expires: number
}

async function begun(response: Response): Promise<Begun & { readonly state: string }> {
  expect(response.status).toBe(201)
  const login: Begun = JSON.parse(await response.text())
  return { ...login, state: new URL(login.url).searchParams.get("state") ?? "" }
}

describe("a login begun with the key", () => {
  test("needs no cookie when the browser comes back", async () => {
    const { ask, bare, pool, time } = bench()
    const login = await begun(await ask("/toy/login", posted({ project_id: "my-project" })))
    expect(login.expires).toBe(time.wall() + 15 * 60_000)
    expect(await (await ask(`/toy/login/${login.id}`)).json()).toMatchObject({
      id: login.id,
      status: "pending",
      kind: "key",
    })
    const back = await bare(`/toycallback?code=c&state=${login.state}`)
    expect(back.status).toBe(202)
    expect(pool.received).toMatchObject([{ account: "my-project" }])
    expect(await (await ask(`/toy/login/${login.id}`)).json()).toMatchObject({
      status: "done",
      credential: 7,
      email: "j***@example.com",
    })
  })

  test("is over when the process drains, so that who waits for it does not hold that up", async () => {
    const { ask, edge } = bench()
    const waiting = await begun(await ask("/toy/login", { method: "POST" }))
    const outcome = ask(`/toy/login/${waiting.id}?wait=60`)
    edge.drain()
    expect(await (await outcome).json()).toMatchObject({ id: waiting.id, status: "failed", reason: "STOPPED" })
    expect((await ask("/toy/login", { method: "POST" })).status).toBe(503)
  })

  test("that somebody has come back for is carried through a drain", async () => {
    const oauth = toyOAuth("toy")
    const { ask, edge } = bench({ oauth })
    const answer = Promise.withResolvers<Exchanged>()
    oauth.result = () => answer.promise
    const login = await begun(await ask("/toy/login", { method: "POST" }))
    const finished = ask("/toy/login:finish", posted({ code: "c", state: login.state }))
    await until("the code is being exchanged", () => oauth.exchanged.length > 0)
    edge.drain()
    answer.resolve({
      kind: "ok",
      tokens: { accessToken: "a", refreshToken: "r", expiresAt: 1, idToken: null },
    })
    expect(await (await finished).json()).toMatchObject({ id: login.id, status: "done" })
  })

  test("may be finished with the address that a person pasted", async () => {
    const { ask } = bench()
    for (const form of [
      (state: string) => ({ url: ` http://localhost:1455/toycallback?code=c&state=${state}&scope=x ` }),
      (state: string) => ({ url: `?code=c&state=${state}` }),
      (state: string) => ({ url: `code=c&state=${state}` }),
      (state: string) => ({ code: "c", state }),
    ]) {
      const login = await begun(await ask("/toy/login", { method: "POST" }))
      const response = await ask("/toy/login:finish", posted(form(login.state)))
      expect(response.status).toBe(200)
      expect(await response.json()).toMatchObject({ id: login.id, status: "done", email: "j***@example.com" })
    }
  })

  test("is finished once, and not with what belongs to no login", async () => {
    const { ask } = bench()
    const { state } = await begun(await ask("/toy/login", { method: "POST" }))
    const finish = (body: unknown) => ask("/toy/login:finish", posted(body))
    expect((await finish({ code: "c", state })).status).toBe(200)
    expect((await finish({ code: "c", state })).status).toBe(403)
    expect((await finish({ code: "c", state: "unknown" })).status).toBe(403)
    for (const body of [{}, { url: "https://nothing.example/" }, { url: 5 }, { code: "c" }, []]) {
      expect((await finish(body)).status).toBe(400)
    }
  })

  test("is over when the pasted address carries an error", async () => {
    const { ask } = bench()
    const { id, state } = await begun(await ask("/toy/login", { method: "POST" }))
    const response = await ask("/toy/login:finish", posted({ url: `http://localhost/x?error=no_seat&state=${state}` }))
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      error: { code: "AUTHORIZATION_REFUSED", message: "This workspace has no seat." },
    })
    expect(await (await ask(`/toy/login/${id}`)).json()).toMatchObject({
      status: "failed",
      message: "This workspace has no seat.",
    })
  })

  test("tells why it failed, as 403", async () => {
    const oauth = toyOAuth("toy")
    oauth.result = { kind: "failed", code: "MISSING_ID_TOKEN", message: "no id token came" }
    const { ask } = bench({ oauth })
    const { state } = await begun(await ask("/toy/login", { method: "POST" }))
    const response = await ask("/toy/login:finish", posted({ code: "c", state }))
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ error: { code: "MISSING_ID_TOKEN" }, login: { status: "failed" } })
  })

  test("lets its caller receive the browser, on a port of loopback and nowhere else", async () => {
    const { ask } = bench()
    const { redirect_uri } = await begun(await ask("/toy/login", posted({ redirect_port: 40_123 })))
    expect(redirect_uri).toBe("http://localhost:40123/toycallback")
    for (const redirect_port of [0, 65_536, 1.5, "80", "80@evil.example"]) {
      expect((await ask("/toy/login", posted({ redirect_port }))).status).toBe(400)
    }
  })

  test("is an operator's affair, from beginning to end", async () => {
    const { bare } = bench({ config: testConfig({}, [clientKey("mate", "mate-key")]) })
    const headers = { "x-goog-api-key": "mate-key" }
    for (const path of ["/toy/login", "/toy/login:finish", "/toy/login:device"]) {
      expect((await bare(path, { method: "POST", headers })).status).toBe(403)
      expect((await bare(path, { method: "POST" })).status).toBe(401)
    }
    expect((await bare("/toy/login/abc", { headers })).status).toBe(403)
  })

  test("is unknown under another id", async () => {
    const { ask } = bench()
    for (const id of ["abc", "constructor", "%00"]) expect((await ask(`/toy/login/${id}`)).status).toBe(404)
  })
})

describe("a device login", () => {
  function flow(answers: (Exchanged | { kind: "pending" | "slow_down" } | Error)[]): DeviceFlow & { asked: number } {
    const device = {
      asked: 0,
      start: async () => ({
        userCode: "ABCD-EFGH",
        verificationUrl: "https://login.example/device",
        handle: "device-secret",
        intervalMs: 5_000,
        expiresInMs: 600_000,
      }),
      async poll() {
        device.asked += 1
        const answer = answers.shift() ?? { kind: "pending" as const }
        if (answer instanceof Error) throw answer
        return answer
      },
    }
    return device
  }
  const tokens = { accessToken: "at", refreshToken: "rt", expiresAt: 0, idToken: null }

  test("shows a code, asks at the interval, slows down when told, and adds the account", async () => {
    const device = flow([{ kind: "pending" }, { kind: "slow_down" }, new Error("reset"), { kind: "ok", tokens }])
    const { ask, time, pool } = bench({ oauth: toyOAuth("toy", { device }) })
    const response = await ask("/toy/login:device", posted({ project_id: "p" }))
    expect(response.status).toBe(201)
    const body = await response.text()
    expect(body).not.toContain("device-secret")
    const login: { readonly id: string } = JSON.parse(body)
    expect(login).toMatchObject({
      user_code: "ABCD-EFGH",
      verification_url: "https://login.example/device",
      interval: 5,
      expires_in: 600,
    })
    const step = async (ms: number) => {
      time.advance(ms)
      await Bun.sleep(1)
    }
    await step(4_999)
    expect(device.asked).toBe(0)
    await step(1)
    await step(5_000)
    expect(device.asked).toBe(2)
    await step(9_999)
    expect(device.asked).toBe(2)
    await step(1)
    expect(device.asked).toBe(3)
    await step(15_000)
    expect(device.asked).toBe(4)
    expect(await (await ask(`/toy/login/${login.id}?wait=5`)).json()).toMatchObject({
      kind: "device",
      status: "done",
      credential: 7,
    })
    expect(pool.received).toMatchObject([{ account: "p" }])
    expect(time.pending).toBe(0)
  })

  test("ends with the reason when the person says no, or says nothing in time", async () => {
    const refused = flow([{ kind: "failed", code: "ACCESS_DENIED", message: "the person said no" }])
    const one = bench({ oauth: toyOAuth("toy", { device: refused }) })
    const { id }: { id: string } = JSON.parse(await (await one.ask("/toy/login:device", { method: "POST" })).text())
    one.time.advance(5_000)
    expect(await (await one.ask(`/toy/login/${id}?wait=1`)).json()).toMatchObject({
      status: "failed",
      reason: "ACCESS_DENIED",
    })

    const silent = flow([])
    const two = bench({ oauth: toyOAuth("toy", { device: silent }) })
    const other: { id: string } = JSON.parse(await (await two.ask("/toy/login:device", { method: "POST" })).text())
    two.time.advance(600_000)
    await Bun.sleep(1)
    expect(await (await two.ask(`/toy/login/${other.id}`)).json()).toMatchObject({
      status: "failed",
      reason: "EXPIRED",
    })
    expect(two.time.pending).toBe(0)
  })

  test("is 501 where the provider has none, and 503 where it does not answer", async () => {
    expect((await bench().ask("/toy/login:device", { method: "POST" })).status).toBe(501)
    const device = { ...flow([]), start: () => Promise.reject(new Error("refused")) }
    const { ask } = bench({ oauth: toyOAuth("toy", { device }) })
    expect((await ask("/toy/login:device", { method: "POST" })).status).toBe(503)
  })

  test("stops asking when the edge stops", async () => {
    const device = flow([])
    const { ask, edge, time } = bench({ oauth: toyOAuth("toy", { device }) })
    await ask("/toy/login:device", { method: "POST" })
    await edge.stop(true)
    expect(time.pending).toBe(0)
  })
})
