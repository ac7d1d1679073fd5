import { expect, test } from "bun:test"
import { isWide, liftRequestLimit, needsManyRequests } from "../../src/cli/request-limit.ts"

type Execve = (file: string, args: string[], env: Record<string, string>) => unknown

/** A process with this environment; what it was replaced by. */
function run(argv: readonly string[], env: Record<string, string | undefined>, execve?: Execve) {
  const calls: { file: string; args: string[]; env: Record<string, string> }[] = []
  const replace: Execve = execve ?? ((file, args, given) => calls.push({ file, args, env: given }))
  liftRequestLimit(argv, { env, execPath: "/opt/pollux", execve: replace })
  return calls
}

test("serving replaces the process once, with its arguments, its environment and the wide limit", () => {
  const [call, ...more] = run(["serve", "--config", "a b.toml"], { HOME: "/home", GONE: undefined })
  expect(more).toEqual([])
  expect(call).toMatchObject({ file: "/opt/pollux", args: ["/opt/pollux", "serve", "--config", "a b.toml"] })
  expect(call?.env.HOME).toBe("/home")
  expect(Object.keys(call?.env ?? {})).not.toContain("GONE")
  expect(isWide(call?.env ?? {})).toBe(true)
  expect(run([], call?.env ?? {})).toEqual([])
})

test("a runtime that drops the variable does not make it loop", () => {
  const [call] = run([], {})
  const { BUN_CONFIG_MAX_HTTP_REQUESTS: _, ...rest } = call?.env ?? {}
  expect(run([], rest)).toEqual([])
})

test("commands that make few requests are left alone", () => {
  for (const argv of [["status"], ["--version"], ["serve", "--help"], ["-h"]])
    expect(needsManyRequests(argv)).toBe(false)
  for (const argv of [[], ["serve"], ["--config", "x"]]) expect(needsManyRequests(argv)).toBe(true)
})

test("where the process cannot be replaced it goes on, instead of ending", () => {
  const execve = () => {
    throw Object.assign(new Error("ENOENT, No such file or directory '/opt/pollux (deleted)'"), { code: "ENOENT" })
  }
  expect(() => run([], {}, execve)).not.toThrow()
  expect(() => liftRequestLimit([], { env: {}, execPath: "/opt/pollux" })).not.toThrow()
})
