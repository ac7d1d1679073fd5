/** Runs a program in a root of its own, confined as a container engine would; there is none on the machines that run the tests. */
import { chownSync } from "node:fs"
import { join } from "node:path"
import { until } from "./wait.ts"

export interface Box {
  /** Folder that becomes the root, read-only. */
  readonly root: string
  /** Working folder, as seen from inside. */
  readonly folder: string
  readonly user: number
  /** The one folder that can be written. */
  readonly writable: string
  /** Files and folders that the user owns. */
  readonly owned: readonly string[]
}

export interface Boxed {
  readonly exited: Promise<number>
  /** All that it wrote, once it has ended. */
  output(): Promise<string>
  /** Its process number as seen from outside; it is 1 inside. */
  inner(): Promise<number>
  kill(): void
}

export function boxed(box: Box, env: Readonly<Record<string, string>>, command: readonly string[]): Boxed {
  const isRoot = process.getuid?.() === 0
  // Others can still make a namespace in which they are root; there is no second user in it.
  const namespaces = ["--mount", "--pid", "--fork", "--kill-child", ...(isRoot ? [] : ["--user", "--map-root-user"])]
  if (isRoot) for (const path of box.owned) chownSync(join(box.root, path), box.user, box.user)
  const child = Bun.spawn(
    [
      ...["unshare", ...namespaces, "python3", join(import.meta.dir, "boxed.py")],
      ...[box.root, box.folder, isRoot ? String(box.user) : "0", box.writable],
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...["--", ...command],
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
  )
  const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return {
    exited: child.exited,
    output: async () => (await output).join(""),
    inner: () =>
      until("it has a process", async () => {
        const children = await Bun.file(`/proc/${child.pid}/task/${child.pid}/children`).text()
        return Number(children.trim().split(" ")[0]) || null
      }),
    kill: () => child.kill("SIGKILL"),
  }
}
