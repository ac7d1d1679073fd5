/**
 * The runtime does what `fetch` asks for on a thread of its own. Where that has to share a core with the JavaScript thread (a
 * container with one CPU, a busy machine), the kernel lets it break in at each wake-up, once or twice a request, and both lose
 * their caches. Under SCHED_BATCH (sched(7)) it waits until the JavaScript thread has nothing more to do: 10 to 30 % more
 * requests a second on one core, and no difference where cores are free.
 */

import { FFIType, ptr } from "bun:ffi"
import { readdirSync, readFileSync } from "node:fs"
import type { Log } from "../observe/ports.ts"
import { callLibc } from "./libc.ts"

/** What the runtime calls the thread (Bun 1.4.5). */
const NAME = "HTTP Client"
/** <linux/sched.h> */
const SCHED_BATCH = 3
/** Longest wait for the server's own answer, in milliseconds. */
const ANSWER_MS = 5_000

/** The thread's id, or null as long as nothing was fetched, and in a runtime that names it otherwise. */
function findThread(): number | null {
  for (const id of readdirSync("/proc/self/task")) {
    try {
      if (readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim() === NAME) return Number(id)
    } catch {
      // It ended meanwhile.
    }
  }
  return null
}

/** Why the thread could not be put under SCHED_BATCH (a sandbox may forbid it), or null when it was. Linux only. */
function calm(): string | null {
  const id = findThread()
  if (id === null) return `there is no thread called ${NAME}`
  const { i32, ptr: pointer } = FFIType
  const libc = callLibc({ sched_setscheduler: { args: [i32, i32, pointer], returns: i32 } })
  // struct sched_param: a priority, which is 0 for this policy.
  return libc.sched_setscheduler(id, SCHED_BATCH, ptr(new Int32Array(1))) === 0 ? null : "the system does not allow it"
}

/**
 * Sees to it once the server serves. Never rejects: without it only speed is lost.
 * @param url the server's own, which is asked for its health, since the thread begins with the first `fetch`
 */
export async function calmHttpThread(url: string, log: Log): Promise<void> {
  try {
    const answer = await fetch(`${url}/healthz`, { proxy: false, signal: AbortSignal.timeout(ANSWER_MS) })
    await answer.body?.cancel()
    const problem = calm()
    if (problem !== null) log.debug("upstream thread keeps its scheduling", { reason: problem })
  } catch (error) {
    log.debug("upstream thread keeps its scheduling", {
      reason: error instanceof Error ? error.message : String(error),
    })
  }
}
