import { describe, expect, test } from "bun:test"
import { join } from "node:path"
import { createSink } from "../../src/observe/sink.ts"

function fault(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** A sink on a reader whose appetite the test controls, with timers driven by hand. */
function hand() {
  let written = ""
  let room = Number.POSITIVE_INFINITY
  let failure: string | null = null
  let calls = 0
  const lost: number[] = []
  const tasks: (() => void)[] = []
  const sink = createSink({
    write(bytes, offset) {
      calls += 1
      if (failure !== null) throw fault(failure)
      if (room === 0) throw fault("EAGAIN")
      const taken = Math.min(room, bytes.length - offset)
      room -= taken
      written += new TextDecoder("latin1").decode(bytes.subarray(offset, offset + taken))
      return taken
    },
    timers: {
      after(_, task) {
        tasks.push(task)
        return () => void tasks.splice(tasks.indexOf(task), 1)
      },
    },
    lost: (lines) => void lost.push(lines),
  })
  return {
    sink,
    lost,
    tick() {
      for (const task of tasks.splice(0)) task()
    },
    waiting: () => tasks.length,
    written: () => written,
    calls: () => calls,
    give: (bytes: number) => {
      room = bytes
    },
    fail: (code: string | null) => {
      failure = code
    },
  }
}

describe("the sink", () => {
  test("writes a burst of lines with one call, a moment later", () => {
    const it = hand()
    for (let index = 0; index < 10; index++) it.sink.write(`line ${index}\n`)
    expect(it.written()).toBe("")
    expect(it.waiting()).toBe(1)
    it.tick()
    expect(it.calls()).toBe(1)
    expect(it.written()).toBe(Array.from({ length: 10 }, (_, index) => `line ${index}\n`).join(""))
    expect(it.waiting()).toBe(0)
  })

  test("writes at once when much is waiting", () => {
    const it = hand()
    it.sink.write("x".repeat(40_000))
    expect(it.written()).toHaveLength(40_000)
  })

  test("goes on where a slow reader stopped, and never waits for it", () => {
    const it = hand()
    it.give(5)
    it.sink.write("0123456789\n")
    it.tick()
    expect(it.written()).toBe("01234")
    it.sink.write("next\n")
    it.tick()
    expect(it.written()).toBe("01234")
    it.give(100)
    it.tick()
    expect(it.written()).toBe("0123456789\nnext\n")
    expect(it.lost).toEqual([])
  })

  test("keeps a bounded amount for a reader that takes nothing, and says later how many lines it lost", () => {
    const it = hand()
    it.give(0)
    const line = `${"x".repeat(1023)}\n`
    for (let index = 0; index < 10_000; index++) it.sink.write(line)
    it.tick()
    it.give(Number.POSITIVE_INFINITY)
    it.tick()
    const kept = it.written().length / line.length
    expect(kept).toBeGreaterThan(3000)
    expect(kept).toBeLessThan(5000)
    expect(it.lost).toEqual([10_000 - kept])
  })

  test("keeps the order of lines given whole and lines put together in place, through a reader that takes little", () => {
    const it = hand()
    it.give(0)
    let expected = ""
    for (let index = 0; index < 20_000; index++) {
      const line = `line ${index} ${"x".repeat(index % 50)}\n`
      expected += line
      if (index % 2 === 0) it.sink.write(line)
      else {
        it.sink.open()?.text(line)
        it.sink.close()
      }
      if (index % 100 === 0) {
        it.give(index % 3000)
        it.tick()
      }
    }
    it.give(Number.POSITIVE_INFINITY)
    it.tick()
    expect(it.written()).toBe(expected)
    expect(it.lost).toEqual([])
  })

  test("has no place for a line where too much waits, or the reader has gone", () => {
    const it = hand()
    it.give(0)
    it.sink.write("x".repeat(4 * 1024 * 1024))
    it.sink.write("y")
    expect(it.sink.open()).not.toBeNull()
    it.sink.open()?.text("z\n")
    it.sink.close()
    expect(it.sink.open()).toBeNull()
    it.give(Number.POSITIVE_INFINITY)
    it.tick()
    expect(it.lost).toEqual([2])
    it.fail("EPIPE")
    it.sink.write("a\n")
    it.tick()
    expect(it.sink.open()).toBeNull()
    expect(it.lost).toEqual([2])
  })

  test("survives a full disk, and counts what it cost", () => {
    const it = hand()
    it.fail("ENOSPC")
    it.sink.write("a\nb\n")
    it.tick()
    it.fail(null)
    it.sink.write("c\n")
    it.tick()
    expect(it.written()).toBe("c\n")
    expect(it.lost).toEqual([2])
  })

  test("stops for good when the reader has gone", () => {
    const it = hand()
    it.fail("EPIPE")
    it.sink.write("a\n")
    it.tick()
    const calls = it.calls()
    it.sink.write("b\n")
    it.tick()
    it.sink.flush()
    expect(it.calls()).toBe(calls)
  })

  test("flushes everything before it returns", () => {
    const it = hand()
    it.sink.write("a\n")
    it.sink.flush()
    expect(it.written()).toBe("a\n")
    expect(it.waiting()).toBe(0)
  })
})

describe("a process that ends right after its last line", () => {
  const program = (ending: string) => `
    import { createLog } from ${JSON.stringify(join(import.meta.dir, "../../src/observe/log.ts"))}
    const log = createLog({ level: "info", format: "json" })
    process.on("uncaughtException", () => { log.error("crash"); log.flush(); process.exit(70) })
    for (let i = 0; i < 5000; i++) log.info("line", { i })
    ${ending}`

  test.each([
    ["by itself", "", 0, 5000],
    ["with nothing but an exit", "process.exit(4)", 4, 5000],
    ["with a flush and an exit", "log.flush(); process.exit(3)", 3, 5000],
    ["in a crash", "throw new Error('x')", 70, 5001],
  ])("%s has written all of them", async (_, ending, code, lines) => {
    const child = Bun.spawn([process.execPath, "-e", program(ending)], { stdout: "pipe", stderr: "pipe" })
    const text = await new Response(child.stdout).text()
    expect(await child.exited).toBe(code)
    const all = text.trimEnd().split("\n")
    expect(all).toHaveLength(lines)
    expect(all.slice(0, 5000).every((line, index) => JSON.parse(line).i === index)).toBe(true)
  })
})
