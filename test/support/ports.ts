import { once } from "node:events"
import { createServer, type Server } from "node:net"

/** A TCP port of loopback where nobody listens, for "connection refused" and for programs that cannot take port 0. */
export async function freePort(): Promise<number> {
  const held = await holdPort()
  await held.free()
  return held.port
}

/**
 * Holds a port, so that binding it fails.
 * @param port 0 lets the system choose
 */
export async function holdPort(port = 0): Promise<{ readonly port: number; free(): Promise<void> }> {
  const server = createServer()
  server.listen(port, "127.0.0.1")
  await once(server, "listening")
  return { port: portOf(server), free: () => new Promise((done) => server.close(() => done())) }
}

/** Whether something accepts connections on a port of loopback. */
export async function answers(port: number): Promise<boolean> {
  try {
    const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } })
    socket.end()
    return true
  } catch {
    return false
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("the server has no port")
  return address.port
}
