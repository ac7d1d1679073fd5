import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { busyReason, pinsFor } from "../../scripts/lib/bench/machine.ts"
import { nginxConfig } from "../../scripts/lib/bench/nginx.ts"
import { FULL, orderOf, plan, QUICK, SECTIONS } from "../../scripts/lib/bench/plan.ts"
import { rawRequest, requestFor, wrkScript } from "../../scripts/lib/bench/requests.ts"
import { shuffled, spread } from "../../scripts/lib/bench/stats.ts"
import { polluxConfig } from "../../scripts/lib/bench/subjects.ts"
import { parseConfig } from "../../src/config/parse.ts"

describe("the plan", () => {
  test("measures for less than 25 minutes in full, and for less than two in quick form", () => {
    const seconds = (size: typeof FULL): number =>
      plan(SECTIONS, size).reduce((sum, load) => {
        const streams = load.section === "open" ? 12 : Math.max(1, load.seconds) + 0.6
        return sum + load.rounds * load.subjects.length * streams
      }, 0)
    expect(seconds(FULL)).toBeLessThan(25 * 60)
    expect(seconds(QUICK)).toBeLessThan(120)
  })

  test("has a bare subject of its own kind beside Pollux wherever a ratio is to be shown", () => {
    for (const { section, api, subjects } of plan(SECTIONS, FULL)) {
      expect(subjects).toContain(api)
      if (section === "lag") expect(subjects.some((name) => name === "pass" || name === "reframe")).toBe(true)
      else if (section === "burst" || section === "paced")
        expect(subjects).toContain(api === "codex" ? "read" : "reframe")
      else if (section !== "open") expect(subjects).toContain("pass")
    }
  })

  test("covers both HTTP versions over TLS at each number of connections that bends the runtime's pool", () => {
    for (const transport of ["tls-h1", "tls-h2"]) {
      for (const api of ["geminicli", "codex"]) {
        const counts = plan(["unary"], FULL)
          .filter((load) => load.transport === transport && load.api === api)
          .map((load) => load.connections)
        expect(counts).toEqual([32, 64, 256, 1024])
      }
    }
  })

  test("asks how late each subject is while it has many small requests, many streams, and large bodies", () => {
    const loads = plan(["lag"], FULL)
    expect(loads.map(({ under }) => under)).toEqual(["unary", "paced", "body"])
    expect(loads.map((load) => orderOf(load))).toEqual([
      { order: "@unary 1024", prompt: 200 },
      { order: "@paced 100 5000", prompt: 200 },
      { order: "@unary 1024", prompt: 1_000_000 },
    ])
  })

  test("keeps to the sections that are asked for", () => {
    expect(new Set(plan(["burst"], FULL).map((load) => load.section))).toEqual(new Set(["burst"]))
  })
})

describe("the requests", () => {
  test("carry the order for the upstream where it looks for it, whatever the prompt", () => {
    for (const load of plan(SECTIONS, FULL)) {
      for (const subject of load.subjects) {
        const { body } = requestFor(subject, {
          api: load.api,
          ...orderOf({ ...load, scale: Math.min(load.scale, 5_000) }),
        })
        expect(body.indexOf(orderOf(load).order)).toBeGreaterThan(0)
        expect(body.indexOf(orderOf(load).order)).toBeLessThan(1_000)
      }
    }
  })

  test("are well-formed on the wire and in wrk's script", () => {
    const request = requestFor("geminicli", { api: "geminicli", order: "@unary 10", prompt: 5 })
    const [head = "", body = ""] = rawRequest(request, 8188).split("\r\n\r\n")
    expect(head.split("\r\n")[0]).toBe("POST /geminicli/v1beta/models/gemini-2.5-pro:generateContent HTTP/1.1")
    expect(head).toContain(`content-length: ${body.length}`)
    expect(JSON.parse(body)).toEqual({ contents: [{ role: "user", parts: [{ text: "@unary 10 xxxxx" }] }] })
    // `[[` would begin a string in Lua.
    expect(wrkScript(request)).not.toContain("[[")
  })
})

describe("the subjects", () => {
  test("Pollux gets a configuration that it accepts", () => {
    const text = polluxConfig(8188, "https://localhost:9443", true)
    const parsed = parseConfig(text, "config.toml", { polluxKey: null, adminKey: null, encryptionKey: null })
    expect(parsed.ok).toBe(true)
  })

  test("nginx serves plain HTTP, or TLS with both HTTP versions", () => {
    const plain = { folder: "/run/x", port: 8000, upstream: "http://127.0.0.1:9000", tls: null }
    expect(nginxConfig(plain)).toContain("listen 127.0.0.1:8000;")
    expect(nginxConfig(plain)).toContain("proxy_pass http://real;")
    expect(nginxConfig(plain)).toContain('location = /healthz { return 200 "ok"; }')
    const tls = { certificate: "/run/x/crt", key: "/run/x/key" }
    expect(nginxConfig({ ...plain, tls })).toContain("listen 127.0.0.1:8000 ssl http2;")
  })

  test("have a core to themselves where there are two", () => {
    expect(pinsFor(1)).toEqual({ subject: null, rest: null })
    expect(pinsFor(2)).toEqual({ subject: "0", rest: "1" })
    expect(pinsFor(8)).toEqual({ subject: "0", rest: "1-7" })
  })
})

describe("the machine", () => {
  test("is too busy when others use its CPUs or stand in line for them", () => {
    expect(busyReason(0.01, 0.2)).toBeNull()
    expect(busyReason(0.3, 0.2)).toBe("other processes use 30 % of the CPUs")
    expect(busyReason(0.01, 3.25)).toBe("the load average is 3.3")
  })
})

describe("the figures", () => {
  test("are a median that half of the values do not pass, between the extremes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), (values) => {
        const { median, min, max } = spread(values)
        expect(min).toBe(Math.min(...values))
        expect(max).toBe(Math.max(...values))
        expect(values.filter((value) => value < median).length * 2).toBeLessThanOrEqual(values.length)
        expect(values.filter((value) => value > median).length * 2).toBeLessThanOrEqual(values.length)
      }),
    )
    expect(() => spread([])).toThrow("no values")
  })

  test("come in an order that loses nobody", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer()),
        fc.array(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (items, chances) => {
          let next = 0
          const mixed = shuffled(items, () => chances[next++] ?? 0.5)
          expect([...mixed].sort()).toEqual([...items].sort())
        },
      ),
    )
  })
})
