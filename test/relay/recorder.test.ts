import { expect, test } from "bun:test"
import { createLog } from "../../src/observe/log.ts"
import type { RequestRecord } from "../../src/relay/ports.ts"
import { createRecorder, levelOf, usageOf } from "../../src/relay/recorder.ts"
import type { UsageEntry } from "../../src/store/usage.ts"

const NOW = 1_800_000_000_000

const record = (more: Partial<RequestRecord> = {}): RequestRecord => ({
  inbound: {
    id: "r1",
    signal: new AbortController().signal,
    startedAt: 0,
    principal: "laptop",
    method: "POST",
    path: "/x/y",
    userAgent: "curl",
    address: "192.0.2.7",
  },
  provider: "p",
  model: "m",
  stream: true,
  status: 200,
  attempts: 2,
  credential: 7,
  queueMs: 1,
  firstByteMs: 20.4,
  durationMs: 99.6,
  overheadMs: 0.1,
  bytes: 500,
  usage: { input: 10, output: 5, cached: 4, reasoning: null },
  end: "complete",
  ...more,
})

test("a client that left is told apart from a stream that broke", () => {
  expect(levelOf({ status: 499, end: "client_gone" })).toBe("info")
  expect(levelOf({ status: 200, end: "cut" })).toBe("error")
  expect(levelOf({ status: 200, end: "idle" })).toBe("error")
  expect(levelOf({ status: 503, end: "refused" })).toBe("error")
  expect(levelOf({ status: 429, end: "refused" })).toBe("warn")
  expect(levelOf({ status: 200, end: "complete" })).toBe("info")
})

test("usage counts a request once, with its attempts and whatever tokens were told", () => {
  expect(usageOf(record(), NOW)).toEqual({
    at: NOW,
    provider: "p",
    model: "m",
    credential: 7,
    principal: "laptop",
    requests: 1,
    errors: 0,
    attempts: 2,
    input: 10,
    output: 5,
    cached: 4,
    reasoning: 0,
  })
  expect(usageOf(record({ end: "cut" }), NOW).errors).toBe(1)
  expect(usageOf(record({ status: 400 }), NOW).errors).toBe(1)
  expect(usageOf(record({ usage: null }), NOW).input).toBe(0)
})

test("one end of a request reaches the log, the metrics and the usage", () => {
  const lines: string[] = []
  const counted: string[] = []
  const used: UsageEntry[] = []
  const recorder = createRecorder({
    log: createLog({ level: "info", format: "json", write: (line) => void lines.push(line) }),
    metrics: {
      attempt: (attempt) => void counted.push(`attempt ${attempt.cause}`),
      finish: (finished) => void counted.push(`finish ${finished.status}`),
    },
    usage: { add: (entry) => void used.push(entry) },
    clock: { mono: () => 0, wall: () => NOW },
  })
  const attempt = {
    requestId: "r1",
    provider: "p",
    model: "m",
    credential: 7,
    number: 1,
    status: 200,
    cause: "ok",
    message: null,
    durationMs: 5,
  }
  recorder.attempt(attempt)
  expect(lines).toEqual([])
  recorder.attempt({ ...attempt, status: 429, cause: "quota", message: "limited" })
  recorder.finish(record())
  expect(counted).toEqual(["attempt ok", "attempt quota", "finish 200"])
  expect(used.length).toBe(1)
  const logged = lines.join("")
  expect(logged).toContain('"event":"attempt_failed"')
  expect(logged).toContain('"event":"request"')
  expect(logged).toContain('"first_byte_ms":20')
  expect(logged).toContain('"address":"192.0.2.7"')
  expect(logged.match(/attempt_failed/g)?.length).toBe(1)
})

test("the line of a request has the same fields in the same order, whatever is known of it", () => {
  const lines: string[] = []
  const recorder = createRecorder({
    log: createLog({ level: "info", format: "json", write: (line) => void lines.push(line), now: () => NOW }),
    metrics: { attempt() {}, finish() {} },
    usage: { add() {} },
    clock: { mono: () => 0, wall: () => NOW },
  })
  const finish = (more: Partial<RequestRecord>) => {
    lines.length = 0
    recorder.finish(record(more))
    return lines.join("")
  }
  const client = '"key":"laptop","ms":100,'
  const rest = '"address":"192.0.2.7","agent":"curl"}\n'
  const whole =
    '{"time":"2027-01-15T08:00:00.000Z","level":"info","event":"request","request_id":"r1","status":200,"method":"POST",' +
    '"path":"/x/y","provider":"p","model":"m","stream":true,"end":"complete","attempts":2,"credential":7,' +
    `${client}"first_byte_ms":20,"queue_ms":1,"bytes":500,"input":10,"output":5,"cached":4,${rest}`
  expect(finish({})).toBe(whole)
  expect(finish({})).toBe(whole)
  expect(finish({ status: 429, end: "refused", credential: null, firstByteMs: null, usage: null, bytes: 12_345 })).toBe(
    '{"time":"2027-01-15T08:00:00.000Z","level":"warn","event":"request","request_id":"r1","status":429,"method":"POST",' +
      '"path":"/x/y","provider":"p","model":"m","stream":true,"end":"refused","attempts":2,"credential":null,' +
      `${client}"first_byte_ms":null,"queue_ms":1,"bytes":12345,"input":null,"output":null,"cached":null,${rest}`,
  )
})

test("a hidden line is not worked out", () => {
  const recorder = createRecorder({
    log: createLog({ level: "warn", format: "json", write: () => {} }),
    metrics: { attempt() {}, finish() {} },
    usage: { add() {} },
    clock: { mono: () => 0, wall: () => NOW },
  })
  let asked = 0
  const inbound = {
    ...record().inbound,
    get userAgent() {
      asked += 1
      return "curl"
    },
  }
  recorder.finish(record({ inbound }))
  expect(asked).toBe(0)
  recorder.finish(record({ inbound, status: 500 }))
  expect(asked).toBe(1)
})
