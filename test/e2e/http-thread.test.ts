import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { startPollux } from "../support/binary.ts"
import { until } from "../support/wait.ts"

const SCHED_BATCH = 3

/** Scheduling policies of a process's threads by their names (proc_pid_stat(5), field 41). */
function policies(pid: number): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, "utf8")
    const end = stat.lastIndexOf(")")
    found.set(stat.slice(stat.indexOf("(") + 1, end), Number(stat.slice(end + 2).split(" ")[38]))
  }
  return found
}

test("the thread that does the upstream I/O does not break in on the one that serves", async () => {
  await using pollux = await startPollux()
  await until("the thread is put under SCHED_BATCH", () => policies(pollux.pid).get("HTTP Client") === SCHED_BATCH)
  const others = [...policies(pollux.pid)].filter(([name]) => name !== "HTTP Client").map(([, policy]) => policy)
  expect(others.length).toBeGreaterThan(0)
  expect(new Set(others)).toEqual(new Set([0]))
})
