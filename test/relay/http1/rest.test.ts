import { describe, expect, test } from "bun:test"
import { type HandTime, handTime } from "../support/time.ts"
import { asking, bench, textOf } from "./support/bench.ts"
import { type Asked, answer, type RawServer } from "./support/server.ts"

const { client: newClient, server: newServer } = bench()

interface Scene {
  readonly time: HandTime
  readonly server: RawServer
  /** Asks so many times at once; gives the numbers of the connections that were used. */
  ask(times?: number): Promise<readonly string[]>
}

/** The server answers all requests of a burst at once. */
async function scene(...fields: readonly string[]): Promise<Scene> {
  const time = handTime()
  let wanted = 1
  const waiting: Asked[] = []
  const server = await newServer((asked) => {
    waiting.push(asked)
    if (waiting.length < wanted) return
    for (const { wire } of waiting.splice(0)) wire.socket.write(answer(String(wire.number), ...fields))
  })
  const client = newClient(time)
  const ask = (times = 1): Promise<readonly string[]> => {
    wanted = times
    return Promise.all(Array.from({ length: times }, () => textOf(client.ask(server.url, asking()))))
  }
  return { time, server, ask }
}

describe("connections that rest too long", () => {
  test("are closed, those used meanwhile are not", async () => {
    const { time, server, ask } = await scene()
    expect((await ask(3)).toSorted()).toEqual(["0", "1", "2"])
    await time.pass(80_000)
    const [kept = ""] = await ask()
    expect(server.wires).toHaveLength(3)
    await time.pass(15_000)
    await Promise.all(server.wires.filter(({ number }) => String(number) !== kept).map(({ closed }) => closed))
    expect(await ask()).toEqual([kept])
    expect(server.wires).toHaveLength(3)
  })

  test("are closed after a minute and a half, and leave no timer behind", async () => {
    const { time, server, ask } = await scene()
    await ask(2)
    expect(time.pending).toBe(1)
    await time.pass(85_000)
    expect(time.pending).toBe(1)
    await time.pass(10_000)
    await Promise.all(server.wires.map(({ closed }) => closed))
    expect(time.pending).toBe(0)
    expect(await ask()).toEqual(["2"])
    expect(time.pending).toBe(1)
  })

  test("come to be, since the one used last is used first", async () => {
    const { ask } = await scene()
    await ask(3)
    const last = await ask()
    for (let i = 0; i < 5; i++) expect(await ask()).toEqual(last)
  })

  test("are looked for by one timer, however many there are", async () => {
    const { time, ask } = await scene()
    for (let i = 1; i <= 5; i++) {
      await ask(i)
      await time.pass(1_000)
      expect(time.pending).toBe(1)
    }
  })

  test.each([
    ["keep-alive: timeout=10", 10_000],
    ["keep-alive: timeout=30, max=100", 30_000],
    ["keep-alive: timeout=600", 95_000],
  ])("are closed by what the server says: %s", async (field, ms) => {
    const { time, server, ask } = await scene(field)
    await ask()
    await time.pass(ms - 2_000)
    await time.pass(2_000)
    await server.wires[0]?.closed
    expect(time.pending).toBe(0)
  })

  test.each(["keep-alive: timeout=0", "keep-alive: timeout=1"])("are closed at once for %s", async (field) => {
    const { time, server, ask } = await scene(field)
    await ask()
    await server.wires[0]?.closed
    expect(time.pending).toBe(0)
  })

  test("are still used shortly before the server's time is over", async () => {
    const { time, ask } = await scene("keep-alive: timeout=30")
    await ask()
    await time.pass(28_900)
    expect(await ask()).toEqual(["0"])
  })

  test("are not used once the server's time is over, though they are not looked over yet", async () => {
    const { time, ask } = await scene("keep-alive: timeout=4")
    await ask()
    await time.pass(3_500)
    expect(await ask()).toEqual(["1"])
  })

  test("are not used once our own time is over, though they are not looked over yet", async () => {
    const { time, ask } = await scene()
    await ask()
    await time.pass(2_000)
    expect(await ask()).toEqual(["0"])
    await time.pass(92_000)
    expect(await ask()).toEqual(["1"])
  })
})
