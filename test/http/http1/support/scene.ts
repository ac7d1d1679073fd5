/** A listener on a free port whose time is moved by hand, and what it tells. Nothing of it may outlive its test. */
import { afterEach, expect } from "bun:test"
import type { Socket } from "bun"
import type { Peer } from "../../../../src/http/http1/peer.ts"
import { Listener, type ListenerDeps } from "../../../../src/http/listener.ts"
import { systemClock, systemTimers } from "../../../../src/observe/clock.ts"
import { TICK_MS } from "../../../../src/relay/ticker.ts"
import { type Line, listeningLog } from "../../../support/listening-log.ts"
import { within } from "../../../support/wait.ts"
import { HandTime } from "../../support/time.ts"
import { Client } from "./client.ts"
import { settled, soon } from "./soon.ts"

export interface Scene {
  readonly listener: Listener
  readonly port: number
  readonly time: HandTime
  readonly logged: readonly Line[]
  /** Statuses given to `refused`. */
  readonly refused: readonly number[]
  /** Connections that came, those of them that are gone for good, and bytes handed to them. */
  readonly counts: {
    readonly opened: number
    readonly closed: number
    readonly received: number
    /** How often a socket was said to take more. */
    readonly drained: number
  }
  client(): Promise<Client>
  /** Waits until that many bytes were handed to the connections in all. */
  received(count: number): Promise<void>
  /** Waits until that many connections are gone. */
  gone(count: number): Promise<void>
  /** Tells the listener of the last connection what the system might at that very moment. */
  readonly tell: { drain(): void; data(bytes: string): void }
  /** Lets so many milliseconds pass, and what that leads to happen. */
  pass(ms: number): Promise<void>
}

export interface SceneOptions {
  readonly receiveMs?: number
  /** Time passes by itself. */
  readonly real?: boolean
}

/** Starts scenes for the tests of a file; afterwards looks for what they left behind. */
export function scenes(): (handle: ListenerDeps["handle"], options?: SceneOptions) => Scene {
  const open: { readonly scene: Scene; readonly clients: Client[] }[] = []
  afterEach(async () => {
    for (const { scene, clients } of open.splice(0)) await clean(scene, clients)
  })
  return (handle, { receiveMs, real = false } = {}) => {
    const time = new HandTime()
    const logged: Line[] = []
    const refused: number[] = []
    const clients: Client[] = []
    const listener = new Listener({
      clock: real ? systemClock : time,
      timers: real ? systemTimers : time,
      log: listeningLog(logged),
      refused: (status) => void refused.push(status),
      handle,
      ...(receiveMs === undefined ? {} : { receiveMs }),
    })
    const { counts, tell } = counted(listener)
    const { port } = listener.listen("127.0.0.1", 0)
    const scene: Scene = {
      listener,
      port,
      time,
      logged,
      refused,
      counts,
      tell,
      async client() {
        const client = await Client.open(port)
        clients.push(client)
        await soon("the connection is open on both sides", () => counts.opened >= clients.length)
        return client
      },
      received: async (count) => {
        await soon(`${count} bytes have come`, () => counts.received >= count)
      },
      gone: async (count) => {
        await soon(`${count} connections are gone`, () => counts.closed >= count)
      },
      async pass(ms) {
        time.advance(ms)
        await settled()
      },
    }
    open.push({ scene, clients })
    return scene
  }
}

async function clean({ listener, counts, time }: Scene, clients: readonly Client[]): Promise<void> {
  for (const client of clients) client.leave()
  await soon("every connection is gone", () => counts.closed === counts.opened)
  expect(listener.active).toBe(0)
  await within("the listener stops", listener.stop(true))
  time.advance(2 * TICK_MS)
  expect(time.pending).toBe(0)
}

/** Counts what the runtime tells the listener, before it hears of it. */
function counted({ sockets }: Listener): Pick<Scene, "counts" | "tell"> {
  const counts = { opened: 0, closed: 0, received: 0, drained: 0 }
  const { open, data, drain, close } = sockets
  let last: Socket<Peer> | null = null
  sockets.open = (socket) => {
    last = socket
    open?.(socket)
    counts.opened++
  }
  sockets.data = (socket, bytes) => {
    const { length } = bytes
    data?.(socket, bytes)
    counts.received += length
  }
  sockets.drain = (socket) => {
    drain?.(socket)
    counts.drained++
  }
  sockets.close = (socket, error) => {
    close?.(socket, error)
    counts.closed++
  }
  const tell = {
    drain: () => void (last !== null && drain?.(last)),
    data: (bytes: string) => void (last !== null && data?.(last, Buffer.from(bytes, "latin1"))),
  }
  return { counts, tell }
}
