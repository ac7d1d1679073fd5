/**
 * A service manager's end of NOTIFY_SOCKET. It runs in Python, so that what it takes in is judged by other code than ours.
 *
 *     await using manager = await listenForDatagrams("@name")
 *     const ready = await manager.sees("READY", "1")
 */
import { join } from "node:path"
import { until } from "./wait.ts"

export interface Datagram {
  /** The assignments in it. */
  readonly fields: Readonly<Record<string, string>>
  /** CLOCK_MONOTONIC when it was read, in microseconds. */
  readonly at: number
}

export interface Manager extends AsyncDisposable {
  readonly received: readonly Datagram[]
  /** The first message with that assignment, from the start or from `after` messages on. */
  sees(name: string, value: string | RegExp, after?: number): Promise<Datagram>
}

/** @param name a path, or `@` and an abstract name */
export async function listenForDatagrams(name: string): Promise<Manager> {
  const child = Bun.spawn(["python3", join(import.meta.dir, "datagrams.py"), name], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  })
  const lines: unknown[] = []
  const received: Datagram[] = []
  const take = (line: unknown) => {
    lines.push(line)
    const { text, monotonic } = Object(line)
    if (typeof text !== "string") return
    const fields = text.split("\n").map((field) => {
      const cut = field.indexOf("=")
      return [field.slice(0, cut), field.slice(cut + 1)] as const
    })
    received.push({ fields: Object.fromEntries(fields), at: Number(monotonic) })
  }
  void (async () => {
    const decoder = new TextDecoder()
    let rest = ""
    for await (const chunk of child.stdout) {
      const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n")
      rest = parts.pop() ?? ""
      for (const line of parts) take(JSON.parse(line))
    }
  })()
  await until("the datagram listener listens", () => lines.length > 0)
  return {
    received,
    sees: (field, value, after = 0) =>
      until(`a message with ${field}=${value}`, () =>
        received.slice(after).find(({ fields }) => {
          const found = fields[field]
          return found !== undefined && (typeof value === "string" ? found === value : value.test(found))
        }),
      ),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL")
      await child.exited
    },
  }
}
