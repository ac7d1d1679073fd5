import { readdirSync } from "node:fs"
import { Counter, Gauge, type Registry } from "prom-client"
import { CellHistogram } from "./cell-histogram.ts"
import type { Counted } from "./counted.ts"

const MICROSECONDS = 1e6

/** Open file descriptors, or null where the system does not show them as files. */
function openDescriptors(): number | null {
  try {
    // The listing itself holds one.
    return readdirSync("/proc/self/fd").length - 1
  } catch {
    return null
  }
}

/** Memory, processor time, descriptors and the lag of the event loop. */
export function exposeProcess(registry: Registry, { startedAt, lag }: Pick<Counted, "startedAt" | "lag">): void {
  const registers = [registry]
  new Gauge({
    name: "pollux_process_resident_memory_bytes",
    help: "Resident set size.",
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({
    name: "pollux_process_heap_used_bytes",
    help: "JavaScript heap in use as the engine estimates it, with buffers it refers to; may exceed what is resident.",
    registers,
    collect() {
      this.set(process.memoryUsage().heapUsed)
    },
  })
  new Counter({
    name: "pollux_process_cpu_seconds_total",
    help: "Processor time used, in user and kernel mode.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / MICROSECONDS)
    },
  })
  new Gauge({
    name: "pollux_process_start_time_seconds",
    help: "When the process was started, since the Unix epoch.",
    registers,
  }).set(startedAt)
  if (openDescriptors() !== null) {
    new Gauge({
      name: "pollux_process_open_fds",
      help: "Open file descriptors.",
      registers,
      collect() {
        this.set(openDescriptors() ?? 0)
      },
    })
  }

  new CellHistogram(
    { name: "pollux_event_loop_lag_seconds", help: "How late the event loop runs its timers.", labelNames: [] },
    () => [{ labels: {}, buckets: lag.buckets }],
    registry,
  )
}
