import { expect, test } from "bun:test"
import { CallbackPort } from "../../src/cli/callback.ts"
import { answers, holdPort } from "../support/ports.ts"

const told = { status: 202, title: "Success", lines: ["You can close this page."] }

test("the browser is received on its path, and on nothing else", async () => {
  const port = CallbackPort.open([0])
  if (port === null) throw new Error("no port")
  const seen: string[] = []
  const base = `http://localhost:${port.port}`
  try {
    expect((await fetch(`${base}/auth/callback?code=1`)).status).toBe(404)
    port.expect("/auth/callback", async (url) => {
      seen.push(url.search)
      return told
    })
    const page = await fetch(`${base}/auth/callback?code=1&state=2`)
    expect(page.status).toBe(202)
    expect(await page.text()).toContain("Success")
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'")
    expect((await fetch(`${base}/auth/callback`, { method: "POST" })).status).toBe(405)
    expect((await fetch(`${base}/else`)).status).toBe(404)
    expect(seen).toEqual(["?code=1&state=2"])
  } finally {
    await port.close()
  }
  expect(await answers(port.port)).toBe(false)
})

test("a taken port is passed over, and without a free one there is none", async () => {
  const held = await holdPort()
  try {
    expect(CallbackPort.open([held.port])).toBeNull()
    const port = CallbackPort.open([held.port, 0])
    expect(port?.port).toBeGreaterThan(0)
    expect(port?.port).not.toBe(held.port)
    await port?.close()
  } finally {
    await held.free()
  }
})

test("an answer under way is finished before the port closes", async () => {
  const port = CallbackPort.open([0])
  if (port === null) throw new Error("no port")
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  port.expect("/cb", async () => {
    reached.resolve()
    await go.promise
    return told
  })
  const page = fetch(`http://127.0.0.1:${port.port}/cb`)
  await reached.promise
  const closed = port.close()
  go.resolve()
  expect((await page).status).toBe(202)
  await closed
})
