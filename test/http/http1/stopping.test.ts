import { describe, expect, test } from "bun:test"
import { connect } from "node:net"
import { Listener } from "../../../src/http/listener.ts"
import { PortError } from "../../../src/http/port-error.ts"
import type { Sink } from "../../../src/relay/ports.ts"
import { Reply } from "../../../src/relay/reply.ts"
import { listeningLog } from "../../support/listening-log.ts"
import { within } from "../../support/wait.ts"
import { Gate, named, to } from "./support/gate.ts"
import { type Scene, scenes } from "./support/scene.ts"
import { settled, soon } from "./support/soon.ts"

const newScene = scenes()

describe("a listener that stops", () => {
  const refuses = (port: number): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(false)).on("error", () => resolve(true))
      socket.on("close", () => socket.destroy())
    })

  test("waits for what is being answered, closes what rests, and takes nothing new", async () => {
    const gate = new Gate()
    const scene = newScene(gate.handle)
    const clients = await Promise.all(Array.from({ length: 5 }, () => scene.client()))
    const [asking, ahead, rested, half, silent] = clients
    await rested?.send(to("/r"))
    await gate.has(1)
    gate.open()
    await rested?.answers(1)
    await asking?.send(to("/a"))
    await gate.has(2)
    await ahead?.send(to("/b") + to("/never"))
    await gate.has(3)
    await half?.send("GET /h")
    await scene.received(to("/r").length + to("/a").length + to("/b").length + to("/never").length + 6)
    expect(scene.listener.active).toBe(2)

    let isStopped = false
    const stopped = scene.listener.stop(false).then(() => {
      isStopped = true
    })
    for (const client of [rested, half, silent]) await client?.ends()
    expect([half?.size, silent?.size, isStopped, scene.listener.active]).toEqual([0, 0, false, 2])
    expect(await refuses(scene.port)).toBe(true)
    half?.leave()
    gate.open()
    gate.open()
    for (const client of [asking, ahead]) {
      await client?.ends()
      expect((await client?.answers(1))?.[0]?.fields.connection).toBe("close")
    }
    ahead?.leave()
    await within("it stops", stopped)
    expect(gate.asked).toEqual(["/r", "/a", "/b"])
    expect(scene.listener.active).toBe(0)
  })

  test("waits for a stream to end, and for a slow reader to get all", async () => {
    let sink: Sink | null = null
    const start = (given: Sink): void => {
      sink = given
    }
    const scene = newScene(({ target }) =>
      target.path === "/stream" ? new Reply(200, {}, { start }) : new Reply(200, {}, new Uint8Array(16 << 20)),
    )
    const streamed = await scene.client()
    await streamed.send(to("/stream"))
    await streamed.sees("\r\n\r\n")
    const slow = await scene.client()
    slow.socket.pause()
    await slow.send(to("/slow"))
    await scene.received(to("/stream").length + to("/slow").length)
    await settled()
    expect(scene.listener.active).toBe(2)
    const stopped = scene.listener.stop(false)
    await settled()
    expect(scene.listener.active).toBe(2)
    const close = (): void => sink?.close()
    close()
    await streamed.ends()
    await streamed.answers(1)
    expect(scene.listener.active).toBe(1)
    slow.socket.resume()
    await slow.ends()
    expect((await slow.answers(1))[0]?.body.length).toBe(16 << 20)
    await within("it stops", stopped)
  })

  test("by force cuts everything", async () => {
    let aborted = 0
    const scene = newScene(({ target, signal }) => {
      signal.addEventListener("abort", () => void aborted++)
      if (target.path === "/wait") return new Promise(() => undefined)
      return new Reply(200, {}, { start: (sink) => void sink.write(Buffer.from("first")) })
    })
    const [waiting, streamed, silent] = await Promise.all([scene.client(), scene.client(), scene.client()])
    await waiting.send(to("/wait"))
    await streamed.send(to("/stream"))
    await streamed.sees("first")
    await soon("both are served", () => scene.listener.active === 2)
    await within("it stops", scene.listener.stop(true))
    expect([aborted, scene.listener.active]).toEqual([2, 0])
    for (const client of [waiting, streamed, silent]) await client.breaks()
    expect(waiting.size).toBe(0)
  })

  test("stops at once if there is nobody, and can be told so twice", async () => {
    const scene = newScene(named)
    await within("it stops", scene.listener.stop(false))
    await within("it stops again", scene.listener.stop(false))
    expect(scene.listener.port).toBeNull()
  })
})

test("what is active is what is not answered in full", async () => {
  const gate = new Gate()
  const scene = newScene(gate.handle)
  const clients = await Promise.all([scene.client(), scene.client(), scene.client()])
  expect(scene.listener.active).toBe(0)
  for (const [i, client] of clients.entries()) {
    await client.send(to("/a") + to("/b"))
    await gate.has(i + 1)
    expect(scene.listener.active).toBe(i + 1)
  }
  for (let i = 0; i < 6; i++) gate.open()
  await gate.has(6)
  clients[0]?.leave()
  await scene.gone(1)
  expect(scene.listener.active).toBe(2)
  for (let i = 0; i < 3; i++) gate.open()
  for (const client of clients.slice(1)) await client.answers(2)
  expect(scene.listener.active).toBe(0)
})

describe("an address to listen on", () => {
  const another = (scene: Scene): Listener =>
    new Listener({
      clock: scene.time,
      timers: scene.time,
      log: listeningLog([]),
      handle: named,
      refused: () => undefined,
    })

  test("that is taken is refused, and whoever has it goes on", async () => {
    const scene = newScene(named)
    const second = another(scene)
    expect(() => second.listen("127.0.0.1", scene.port)).toThrow(PortError)
    expect(second.port).toBeNull()
    const client = await scene.client()
    await client.send(to("/a"))
    await client.answers(1)
    await within("what never listened stops", second.stop(false))
  })

  test.each([
    ["127.0.0.1", "http://127.0.0.1:"],
    ["0.0.0.0", "http://127.0.0.1:"],
    ["::1", "http://[::1]:"],
    ["::", "http://[::1]:"],
  ])("%s is told as one that a client here can use", async (address, start) => {
    const listener = another(newScene(named))
    const { url, port } = listener.listen(address, 0)
    expect(url).toBe(`${start}${port}`)
    expect(await (await fetch(`${url}/a`)).text()).toBe("/a")
    await within("it stops", listener.stop(true))
  })
})
