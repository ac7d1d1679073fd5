import { describe, expect, test } from "bun:test"
import { neutralShape } from "../../src/http/faults.ts"
import { Front } from "../../src/http/front.ts"
import type { Endpoint } from "../../src/http/guard.ts"
import { clientRequest, responseOf } from "../support/requests.ts"
import { KEY } from "./support/config.ts"
import { bench } from "./support/edge.ts"

const endpoint: Endpoint = { access: "client", shape: neutralShape }

describe("the front", () => {
  const front = new Front()
  const exact = () => new Response("exact")
  const open = () => new Response("open")
  front.add({ method: "POST", path: "/a/v1/responses" }, endpoint, exact)
  front.add({ method: "POST", path: "/b/models/*" }, endpoint, open)

  test.each([
    ["POST", "/a/v1/responses", exact],
    ["POST", "/b/models/x:generate", open],
    ["POST", "/b/models/a/b", open],
    ["GET", "/a/v1/responses", null],
    ["POST", "/a/v1/responses/", null],
    ["POST", "/a/v1/responses2", null],
    ["POST", "/b/models", null],
    ["POST", "/B/models/x", null],
  ] as const)("%s %s", (method, path, handler) => {
    expect(front.find(method, path)?.handler ?? null).toBe(handler)
  })
})

test("a hot route answers as it does through the router, and its path takes no other method", async () => {
  const { edge } = bench()
  const send = (path: string, method: string) =>
    responseOf(
      edge.handle(
        clientRequest(
          new Request(`http://localhost${path}`, { method, body: "x", headers: { "x-goog-api-key": KEY } }),
        ),
      ),
    )
  const [hot, routed, wrong] = [
    await send("/toy/v1/hot", "POST"),
    await send("/toy/v1/echo", "POST"),
    await send("/toy/v1/hot", "PUT"),
  ]
  expect([hot.status, await hot.text()]).toEqual([200, "x"])
  expect([routed.status, await routed.text()]).toEqual([200, "x"])
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "POST"])
})
