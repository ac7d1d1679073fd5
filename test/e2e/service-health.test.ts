import { expect, test } from "bun:test"
import { startPollux } from "../support/binary.ts"
import { cli } from "../support/cli.ts"
import { freePort } from "../support/ports.ts"
import { until } from "../support/wait.ts"
import { startWorld } from "../support/world.ts"

test("a server that is well answers without a word, its key known or not", async () => {
  await using pollux = await startPollux()
  expect(await cli(pollux, ["health"])).toMatchObject({ code: 0, stdout: "", stderr: "" })
  expect(await cli(pollux, ["health", "--ready"])).toMatchObject({ code: 0, stdout: "", stderr: "" })
  expect((await cli(pollux, ["health"], { cwd: "/" })).code).toBe(0)
  // The proxy of the environment is not for one's own server.
  const proxied = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" }
  expect((await cli(pollux, ["health"], { env: proxied })).code).toBe(0)
})

test("a server that drains is alive, and not ready, and says why", async () => {
  await using world = await startWorld({ google: { eventDelayMs: 1_500 } })
  const { pollux } = world
  const stream = await pollux.api("/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hello" }] }] }),
  })
  const reader = stream.body?.getReader()
  await reader?.read()
  pollux.signal("SIGTERM")
  const told = await until("it is not ready", async () => {
    const ran = await cli(pollux, ["health", "--ready"])
    return ran.code === 1 ? ran : null
  })
  expect(told.stderr).toContain("takes no requests now")
  expect((await cli(pollux, ["health"])).code).toBe(0)
  await reader?.cancel()
})

test("nobody there, somebody else there, and another key are told apart", async () => {
  await using pollux = await startPollux()
  const ask = (server: string, ...args: readonly string[]) =>
    cli({ ...pollux, url: server, cwd: pollux.cwd }, ["health", ...args])
  const nobody = await ask(`http://127.0.0.1:${await freePort()}`)
  expect(nobody.code).toBe(1)
  expect(nobody.stderr).toContain("no server answers")

  using other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") })
  expect((await ask(`http://127.0.0.1:${other.port}`)).stderr).toContain("is not Pollux")

  const refused = await cli(pollux, ["health", "--ready"], { cwd: "/", env: { POLLUX_KEY: "another-key-altogether" } })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain("refused the key (POLLUX_KEY)")
  expect((await ask("ftp://x")).code).toBe(64)
})
