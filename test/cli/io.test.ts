import { expect, test } from "bun:test"
import { createIo } from "../../src/cli/io.ts"

/** This process, with a note of each standard stream that is asked for: the runtime makes it then. */
function watched(): { readonly target: NodeJS.Process; readonly asked: string[] } {
  const asked: string[] = []
  const target = new Proxy(process, {
    get(real, name) {
      if (name === "stdout" || name === "stderr" || name === "stdin") asked.push(name)
      const value: unknown = Reflect.get(real, name)
      return typeof value === "function" ? value.bind(real) : value
    },
  })
  return { target, asked }
}

test("no standard stream is made for a command that neither writes nor asks what its output is", async () => {
  const { target, asked } = watched()
  const io = createIo(target)
  expect(io.cwd).toBe(process.cwd())
  expect(await io.finish(3)).toBe(3)
  expect(asked).toEqual([])
})

test("what the output is, is told when it is asked for", () => {
  const { target, asked } = watched()
  expect(createIo(target).terminal).toBe(process.stdout.isTTY === true)
  expect(asked).toEqual(["stdout"])
})
