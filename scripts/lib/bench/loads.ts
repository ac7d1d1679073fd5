/** One measurement: a load on a subject, by wrk or by our own program, with what the subject used meanwhile. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { PROBED } from "./forms.ts"
import { type Business, EVENTS, type Load, orderOf } from "./plan.ts"
import { run } from "./processes.ts"
import { rawRequest, requestFor, wrkScript } from "./requests.ts"
import type { Figure } from "./results.ts"
import type { Subject } from "./subjects.ts"

export interface Tools {
  readonly load: string
  readonly folder: string
  readonly cpus: string | null
}

export interface Sample {
  readonly figures: Readonly<Partial<Record<Figure, number>>>
  readonly failed: number
  /** What all bytes of all answers come to; equal for equal answers. Null where they were not looked at. */
  readonly hash: string | null
}

/** @throws Error when the load program fails */
export async function measure(tools: Tools, subject: Subject, load: Load): Promise<Sample> {
  const before = subject.process?.used()
  const done = await (load.under === undefined ? put(tools, subject, load) : probed(tools, subject, load, load.under))
  const after = subject.process?.used()
  if (before === undefined || after === undefined || done.units === 0) return done
  const cpu = ((after.cpu - before.cpu) / done.units) * 1e6
  return { ...done, figures: { ...done.figures, cpu, rss: after.rss } }
}

function put(tools: Tools, subject: Subject, load: Load): Promise<Done> {
  return load.section === "unary" || load.section === "body" ? closed(tools, subject, load) : own(tools, subject, load)
}

/** Probes a second, from so many connections. */
const PROBES = 200
const PROBE_CONNECTIONS = 4
/** How much longer the load lasts than the probing, in seconds. */
const MARGIN_SECONDS = 1

/** How late a subject is while it is busy: the lag of its event loop, as a client feels it. */
async function probed(tools: Tools, subject: Subject, load: Load, under: Business): Promise<Done> {
  const file = join(tools.folder, "probe")
  writeFileSync(file, `GET ${PROBED} HTTP/1.1\r\nhost: 127.0.0.1:${subject.port}\r\n\r\n`)
  const { section: _, under: __, ...rest } = load
  const busy = put(tools, subject, { ...rest, section: under, seconds: load.seconds + MARGIN_SECONDS })
  const command = [tools.load, "rate", subject.port, file, load.seconds, PROBE_CONNECTIONS, PROBES].map(String)
  const [{ failed }, said] = await Promise.all([busy, run(command, tools.cpus).then(record)])
  const { p50, p95, p99 } = record(said.latency)
  const figures = { p50: number(p50), p95: number(p95), p99: number(p99) }
  // What the subject used went into the load, of which other sections tell.
  return { figures, failed: failed + number(said.failed), hash: null, units: 0 }
}

interface Done extends Sample {
  /** Requests or events. */
  readonly units: number
}

/** As many requests as the subject answers, from so many connections (wrk). */
async function closed({ folder, cpus }: Tools, subject: Subject, load: Load): Promise<Done> {
  const script = join(folder, "wrk.lua")
  writeFileSync(script, wrkScript(requestFor(subject.name, { api: load.api, ...orderOf(load) })))
  const seconds = Math.max(1, Math.round(load.seconds))
  const url = `http://127.0.0.1:${subject.port}`
  const output = await run(["wrk", "-t1", `-c${load.connections}`, `-d${seconds}s`, "-s", script, url], cpus)
  const said = record(/^WRK (\{.*\})$/m.exec(output)?.[1])
  const requests = number(said.requests)
  return {
    figures: {
      rate: requests / number(said.seconds),
      p50: number(said.p50),
      p95: number(said.p95),
      p99: number(said.p99),
    },
    failed: number(said.failed),
    hash: null,
    units: requests,
  }
}

/** A constant rate, or streams (load.c). */
async function own({ load: program, folder, cpus }: Tools, subject: Subject, load: Load): Promise<Done> {
  const file = join(folder, "request")
  writeFileSync(file, rawRequest(requestFor(subject.name, { api: load.api, ...orderOf(load) }), subject.port))
  const { section, connections, seconds } = load
  const [mode, last] = section === "rate" ? ["rate", load.scale] : ["streams", section === "burst" ? 0 : 1]
  const command = [program, mode, subject.port, file, seconds, connections, last]
  const said = record(await run(command.map(String), cpus))
  const finished = number(said.finished)
  const failed = number(said.failed) + (number(said.distinct) > 1 ? number(said.distinct) - 1 : 0)
  if (section === "rate") {
    const { p50, p95, p99 } = record(said.latency)
    const figures = { p50: number(p50), p95: number(p95), p99: number(p99), rate: finished / number(said.seconds) }
    return { figures, failed, hash: null, units: finished }
  }
  const units = finished * EVENTS[section === "burst" ? "burst" : section === "paced" ? "paced" : "open"]
  const delay = record(said.delay)
  const figures: Partial<Record<Figure, number>> = {
    rate: units / number(said.seconds),
    firstByte: number(record(said.firstByte).p50),
  }
  if (section !== "burst")
    Object.assign(figures, { p50: number(delay.p50), p95: number(delay.p95), p99: number(delay.p99) })
  return { figures, failed, hash: section === "burst" ? null : `${said.hash} ${said.each}`, units }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  const parsed: unknown = typeof value === "string" ? JSON.parse(value) : value
  if (typeof parsed !== "object" || parsed === null) throw new Error("the load program did not say what it measured")
  return { ...parsed }
}

function number(value: unknown): number {
  if (typeof value !== "number") throw new Error("the load program's answer lacks a number")
  return value
}
