import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { createLog, type LogOptions } from "../../src/observe/log.ts"

const NOON = Date.UTC(2026, 10, 22, 12, 0, 0, 7)

function capture(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const log = createLog({
    level: "info",
    format: "json",
    write: (line) => void lines.push(line),
    now: () => NOON,
    terminal: { tty: false, color: false },
    ...options,
  })
  return { log, lines }
}

describe("a JSON line", () => {
  test("is one object with time, level, event and the fields in order", () => {
    const { log, lines } = capture()
    log.info("request", { id: "abc", status: 200, ok: true, none: null, left: undefined, list: ["a", "b"] })
    expect(lines).toEqual([
      '{"time":"2026-11-22T12:00:00.007Z","level":"info","event":"request","id":"abc","status":200,"ok":true,"none":null,"list":["a","b"]}\n',
    ])
    log.error("bare")
    expect(lines[1]).toBe('{"time":"2026-11-22T12:00:00.007Z","level":"error","event":"bare"}\n')
  })

  test("keeps its own names apart from fields of the same name", () => {
    const { log, lines } = capture()
    log.info("request", { level: "x", event: "y", time: "z" })
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      level: "info",
      event: "request",
      level_: "x",
      event_: "y",
      time_: "z",
    })
  })

  test("is valid JSON on one line for any text", () => {
    const { log, lines } = capture()
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (event, value) => {
        lines.length = 0
        log.info(event, { value, list: [value], [value]: 1 })
        expect(lines).toHaveLength(1)
        expect(lines[0]?.indexOf("\n")).toBe((lines[0]?.length ?? 0) - 1)
        expect(() => JSON.parse(lines[0] ?? "")).not.toThrow()
      }),
    )
  })
})

describe("a text line", () => {
  const text = { format: "text" } as const

  test("is time, level, event and key=value, aligned", () => {
    const { log, lines } = capture({ ...text, level: "trace" })
    log.info("request", { status: 200, path: "/a b", list: ["x", "y z"], empty: "" })
    log.warn("short")
    log.error("an event with a longer name", { a: 1 })
    const bodies = lines.map((line) => line.replace(/^\d\d:\d\d:00\.007 /, ""))
    expect(bodies).toEqual([
      'INFO  request            status=200 path="/a b" list=[x,"y z"] empty=""\n',
      "WARN  short\n",
      "ERROR an event with a longer name a=1\n",
    ])
  })

  test("has colour on a terminal only, and none when NO_COLOR says so", () => {
    for (const [tty, color, coloured] of [
      [true, true, true],
      [true, false, false],
      [false, true, false],
    ] as const) {
      const { log, lines } = capture({ ...text, terminal: { tty, color } })
      log.info("x", { a: 1 })
      expect(lines[0]?.includes("\x1b[")).toBe(coloured)
    }
  })

  test("is what auto means on a terminal; JSON is what it means elsewhere", () => {
    const shown = (tty: boolean) => {
      const { log, lines } = capture({ format: "auto", terminal: { tty, color: false } })
      log.info("x")
      return lines[0]?.[0]
    }
    expect(shown(true)).toMatch(/\d/)
    expect(shown(false)).toBe("{")
  })
})

describe("no line", () => {
  test("carries a control character, a terminal sequence or a forged second line (B19)", () => {
    for (const format of ["json", "text"] as const) {
      const { log, lines } = capture({ format })
      fc.assert(
        fc.property(
          fc.array(
            fc.oneof(
              fc.constantFrom(
                "\x1b[31m",
                "\r\n",
                "\n",
                "\x9b2J",
                "\u2028",
                "\u202e",
                "\x07",
                "\x7f",
                "\ud800",
                '","level":"error',
                "INFO",
              ),
              fc.string({ unit: "binary", maxLength: 10 }),
            ),
          ),
          (parts) => {
            const nasty = parts.join("")
            lines.length = 0
            log.info(nasty, { model: nasty, path: `/x/${nasty}`, [`k${nasty}`]: nasty })
            log.child({ ua: nasty }).warn("x")
            expect(lines).toHaveLength(2)
            for (const line of lines) {
              expect(line.endsWith("\n")).toBe(true)
              expect(line.slice(0, -1)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
              expect(line.isWellFormed()).toBe(true)
            }
          },
        ),
      )
    }
  })

  test("carries a secret: not in events, values, lists, children, or under a name that tells (B20)", () => {
    const secret = "1//0gAbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
    for (const format of ["json", "text"] as const) {
      const { log, lines } = capture({ format })
      log.info(`got ${secret}`, { a: secret, b: [secret, `x ${secret}`], url: `https://x.example/cb?code=${secret}` })
      log.child({ c: `Bearer ${secret}` }).info("again", { mail: "jane.doe@example.com" })
      log.info("named", {
        refresh_token: "short",
        accessToken: "short",
        cookie: ["short"],
        "x-token": 1,
        pollux_key: "short",
      })
      const all = lines.join("")
      expect(all).not.toContain(secret)
      expect(all).not.toContain("jane")
      expect(all).not.toContain("short")
      expect(all).toContain("j***@example.com")
    }
  })

  test("changes because the same text was logged before", () => {
    const { log, lines } = capture()
    const texts = ["/geminicli/v1beta/models/x", "Bearer abcdefghijklmnop", "\x1b[31m in a longer text"]
    for (let round = 0; round < 3; round++) for (const text of texts) log.info("x", { text })
    expect(lines.slice(0, 3)).toEqual(lines.slice(3, 6))
    expect(lines.slice(0, 3)).toEqual(lines.slice(6, 9))
    for (let index = 0; index < 3000; index++) log.info("x", { text: `a text of its own ${index}` })
    expect(lines.at(-1)).toContain("a text of its own 2999")
  })
})

describe("a level", () => {
  test("shows itself and what is graver, and can be changed for all children at once", () => {
    const { log, lines } = capture({ level: "warn" })
    const child = log.child({ c: 1 })
    const all = () => {
      lines.length = 0
      for (const level of ["error", "warn", "info", "debug", "trace"] as const) child[level](level)
      return lines.map((line) => JSON.parse(line).event)
    }
    expect(all()).toEqual(["error", "warn"])
    log.setLevel("trace")
    expect(all()).toEqual(["error", "warn", "info", "debug", "trace"])
    log.setLevel("error")
    expect(all()).toEqual(["error"])
  })

  test("that hides a line costs no formatting", () => {
    const { log, lines } = capture({
      now: () => {
        throw new Error("asked for the time")
      },
    })
    log.debug("hidden", { a: 1 })
    expect(lines).toEqual([])
  })
})

describe("a child", () => {
  test("adds its fields, and those of its parent, to each line", () => {
    const { log, lines } = capture()
    log.child({ a: 1, b: 1 }).child({ b: 2 }).info("x", { c: 3 })
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ a: 1, b: 2, c: 3 })
  })
})
