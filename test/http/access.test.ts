import { expect, test } from "bun:test"
import { accessLevel, logAccess } from "../../src/http/access.ts"
import { createLog } from "../../src/observe/log.ts"

const entry = {
  method: "GET",
  path: "/geminicli/v1beta/models",
  status: 200,
  fault: null,
  ms: 1.4,
  requestId: "r1",
  principal: "default",
  address: "127.0.0.1",
  userAgent: "curl",
}

test("a probe that succeeds is not worth a line of its own, one that fails is", () => {
  expect(accessLevel({ path: "/healthz", status: 200, fault: null })).toBe("debug")
  expect(accessLevel({ path: "/readyz", status: 503, fault: null })).toBe("error")
})

test("a client's mistake is a warning, a failure of the server an error", () => {
  expect(accessLevel({ path: "/x", status: 200, fault: null })).toBe("info")
  expect(accessLevel({ path: "/x", status: 401, fault: null })).toBe("warn")
  expect(accessLevel({ path: "/x", status: 501, fault: null })).toBe("warn")
  expect(accessLevel({ path: "/x", status: 500, fault: null })).toBe("error")
})

test("what is turned away by a stop that somebody asked for is no error", () => {
  expect(accessLevel({ path: "/readyz", status: 503, fault: "draining" })).toBe("info")
})

test("a client that tries a WebSocket first is nothing to warn of", () => {
  expect(accessLevel({ path: "/x", status: 426, fault: null })).toBe("info")
})

test("a line says why the request was turned away", () => {
  const lines: string[] = []
  const log = createLog({ level: "info", format: "json", write: (line) => void lines.push(line) })
  logAccess(log, { ...entry, status: 401, fault: "unauthorized" })
  logAccess(log, entry)
  log.flush()
  const [refused = "", served = ""] = lines.join("").trim().split("\n")
  expect(JSON.parse(refused)).toMatchObject({ status: 401, reason: "unauthorized" })
  expect(JSON.parse(served)).not.toHaveProperty("reason")
})

test("a line names the login that was asked for, and where", () => {
  const lines: string[] = []
  const log = createLog({ level: "info", format: "json", write: (line) => void lines.push(line) })
  logAccess(log, { ...entry, path: "/codex/login/oKSKiKtRVdkgqdRC" })
  logAccess(log, entry)
  log.flush()
  const [asked = "", other = ""] = lines.join("").trim().split("\n")
  expect(JSON.parse(asked)).toMatchObject({ path: "/codex/login/{id}", login: "oKSKiKtRVdkgqdRC" })
  expect(JSON.parse(other)).not.toHaveProperty("login")
})

test("each level reaches the log as such", () => {
  const lines: string[] = []
  const log = createLog({ level: "trace", format: "json", write: (line) => void lines.push(line) })
  for (const [path, status] of [
    ["/healthz", 200],
    ["/x", 200],
    ["/x", 404],
    ["/x", 500],
  ] as const) {
    logAccess(log, { ...entry, path, status })
  }
  log.flush()
  const levels = lines
    .join("")
    .trim()
    .split("\n")
    .map((line) => /"level":"(\w+)"/.exec(line)?.[1])
  expect(levels).toEqual(["debug", "info", "warn", "error"])
})
