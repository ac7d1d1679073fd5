/** Commands whose output goes nowhere: a reader that leaves, a disk that is full. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { openSync } from "node:fs"
import { ensureBuilt } from "../support/build.ts"
import { cli } from "../support/cli.ts"
import { until, within } from "../support/wait.ts"
import { startWorld, type World } from "../support/world.ts"

let world: World

beforeAll(async () => {
  world = await startWorld({ accounts: 1 })
})
afterAll(() => world?.[Symbol.asyncDispose]())

describe("a reader that leaves", () => {
  for (const json of [[], ["--json"]]) {
    test(`ends \`pollux status --watch${json.map((word) => ` ${word}`)}\` with the next change, without a word`, async () => {
      const watch = Bun.spawn([await ensureBuilt(), "status", "--watch", ...json, "--server", world.pollux.url], {
        cwd: world.pollux.cwd,
        env: {},
        stdout: "pipe",
        stderr: "pipe",
      })
      try {
        const reader = watch.stdout.getReader()
        await within("the first picture", reader.read())
        await reader.cancel()
        // A change that comes before the feeds are open is seen five seconds later.
        expect((await cli(world.pollux, ["credential", "disable", "codex:1"])).code).toBe(0)
        await until("it ends", () => watch.exitCode !== null)
        expect(watch.exitCode).toBe(0)
        expect(await new Response(watch.stderr).text()).toBe("")
      } finally {
        watch.kill("SIGKILL")
        await cli(world.pollux, ["credential", "enable", "codex:1"])
      }
    }, 30_000)
  }
})

describe("a full disk", () => {
  for (const args of [["status"], ["check", "--json"], ["key", "list"]]) {
    test(`is told by \`pollux ${args.join(" ")}\`, with exit code 74`, async () => {
      const server = args[0] === "status" ? ["--server", world.pollux.url] : []
      const child = Bun.spawn([await ensureBuilt(), ...args, ...server], {
        cwd: world.pollux.cwd,
        env: {},
        stdout: openSync("/dev/full", "w"),
        stderr: "pipe",
      })
      const told = await within("it ends", new Response(child.stderr).text())
      expect(told).toBe("pollux: the output could not be written: the disk is full\n")
      expect(await child.exited).toBe(74)
    })
  }
})
