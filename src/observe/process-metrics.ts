import { readdirSync } from "node:fs"
import { Counter, Gauge, Histogram, type Registry } from "prom-client"
import type { Clock, Timers } from "./clock.ts"

/** How often the event loop is asked how late it is, in milliseconds. */
const SAMPLE_MS = 250
/** A timer is late by the time the loop was busy with something else. Seconds. */
const LAG_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
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

/**
 * Memory, processor time, descriptors and the lag of the event loop, the latter as a histogram, so that several scrapers see the
 * same and none resets it for the others. Returns what stops the sampling.
 */
export function watchProcess(registry: Registry, clock: Clock, timers: Timers): () => void {
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
  }).set(clock.wall() / 1000 - process.uptime())
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

  const lag = new Histogram({
    name: "pollux_event_loop_lag_seconds",
    help: "How late the event loop runs its timers.",
    buckets: LAG_BUCKETS,
    registers,
  })
  let cancel = () => {}
  function sample(): void {
    const due = clock.mono() + SAMPLE_MS
    cancel = timers.after(SAMPLE_MS, () => {
      lag.observe(Math.max(0, clock.mono() - due) / 1000)
      sample()
    })
  }
  sample()
  return () => cancel()
}
