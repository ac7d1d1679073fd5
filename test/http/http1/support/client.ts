/** A client that writes the very bytes a test wants and keeps all that it gets. */
import { connect, type Socket } from "node:net"
import { type Answer, readAnswers } from "./answers.ts"
import { settled, soon } from "./soon.ts"

export class Client {
  /** The server has ended its side. */
  ended = false
  /** The connection is gone, in whatever way. */
  closed = false
  /** What broke it. */
  error: string | null = null
  /** Bytes that came. */
  size = 0

  private readonly parts: Buffer[] = []

  private constructor(readonly socket: Socket) {
    socket.setNoDelay(true)
    socket.on("data", (bytes: Buffer) => {
      this.parts.push(bytes)
      this.size += bytes.length
    })
    socket.on("end", () => {
      this.ended = true
    })
    socket.on("close", () => {
      this.closed = true
    })
    socket.on("error", (error) => {
      this.error = "code" in error ? String(error.code) : error.message
    })
  }

  /** Keeps its side open when the server ends its own. */
  static async open(port: number): Promise<Client> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    const client = new Client(socket)
    await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject))
    return client
  }

  get bytes(): Buffer {
    return Buffer.concat(this.parts)
  }

  /** As Latin-1: one character is one byte. */
  get text(): string {
    return this.bytes.toString("latin1")
  }

  /** Resolves when the system has the bytes. @param bytes text as Latin-1 */
  send(bytes: string | Uint8Array): Promise<void> {
    const sent = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes
    return new Promise((resolve) => void this.socket.write(sent, () => resolve()))
  }

  /** Waits for a text. */
  async sees(what: string | RegExp): Promise<void> {
    await soon(`the client sees ${what}`, () => {
      return typeof what === "string" ? this.text.includes(what) : what.test(this.text)
    })
  }

  /** Waits for the end of what the server sends: everything came, in order. @throws Error where it broke off */
  async ends(): Promise<void> {
    await soon("the server ends the connection", () => this.ended || this.closed)
    if (!this.ended) throw new Error(`the connection broke: ${this.error}`)
  }

  /** Of a paused client: reads until that many bytes have come in all, and pauses again. */
  async reads(count: number): Promise<void> {
    this.socket.resume()
    await soon(`${count} bytes come`, () => this.size >= count)
    this.socket.pause()
    await settled()
  }

  /** Waits until the connection is cut. */
  async breaks(): Promise<void> {
    await soon("the server cuts the connection", () => this.closed)
  }

  /** Waits for that many answers, and for nothing behind them. @param methods of the requests, GET where not given */
  async answers(count: number, methods: readonly string[] = []): Promise<readonly Answer[]> {
    let seen = -1
    let found: readonly Answer[] = []
    await soon(`${count} answers, not ${found.length}`, () => {
      if (seen === this.size && !this.ended) return false
      seen = this.size
      const { answers, rest } = readAnswers(this.bytes, methods, this.ended)
      found = answers
      return answers.length >= count && rest === 0
    })
    if (found.length > count) throw new Error(`${found.length} answers came instead of ${count}`)
    return found
  }

  leave(): void {
    this.socket.destroy()
  }
}
