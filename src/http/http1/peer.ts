import type { Socket } from "bun"
import type { Batch, Due } from "../../relay/http1/batch.ts"
import { ConnectionClosed } from "../../relay/http1/connection.ts"
import { MalformedMessage } from "../../relay/http1/field-lines.ts"
import { Reply } from "../../relay/reply.ts"
import type { Ticker, Ticking } from "../../relay/ticker.ts"
import { plainAddress, UNKNOWN } from "../address.ts"
import { type Answered, HttpError } from "../ports.ts"
import { AnswerWriter, type Writing } from "./answer-writer.ts"
import { checkBeginning, isLetter } from "./beginning.ts"
import { type Carrier, Incoming } from "./incoming.ts"
import { Intake } from "./intake.ts"
import { Refusal } from "./refusal.ts"
import { HEAD_BYTES, type RequestHeads } from "./request-head.ts"

/** How long a client may take to send a head, in milliseconds (checks B8). */
const HEAD_MS = 12_000
/** How much of a body must come in each of its windows of time, in bytes. */
const WINDOW_BYTES = 16 * 1024
/** How long a connection may rest after an answer, in milliseconds: long enough for keep-alive, short enough to shed peers that vanished. */
const REST_MS = 60_000
/** The same for one that sent no right key. */
const STRANGER_REST_MS = 10_000
/** How long the rest of a body is passed over that nobody wanted, in milliseconds. */
const SKIP_MS = 12_000
/** How long we wait for the other side to close, once we have, in milliseconds. */
const LINGER_MS = 2_000
/** Bytes of further requests that may lie here while one is answered. */
const AHEAD_BYTES = 64 * 1024

const NOTHING = Buffer.alloc(0)
const BLANK_LINE = Buffer.from("\r\n\r\n")
const CR = 0x0d
const LF = 0x0a

/** A body that came too slowly. */
const LATE = new HttpError({
  kind: "bad_request",
  message: "the request body did not come in time: at least 16 KiB every 10 seconds are expected",
})

/** What all connections of a server have in common. */
export interface House extends Writing {
  readonly ticker: Ticker
  readonly batch: Batch
  readonly heads: RequestHeads
  /** Milliseconds in which a body must make progress. */
  readonly receiveMs: number
  /** Serves a request. Never rejects. */
  handle(request: Incoming): Answered | Promise<Answered>
  /** A request was not understood. @returns its id */
  refused(refusal: Refusal, address: string): string
  /** Something happened that must not. */
  failed(error: unknown): void
  gone(peer: Peer): void
}

/** One client's connection: one request after another, each answered before the next is looked at (RFC 9112 section 9.3.2). */
export class Peer implements Carrier, Due, Ticking {
  place = -1
  readonly address: string

  private readonly writer: AnswerWriter
  private alive = true
  /** What is being served. */
  private incoming: Incoming | null = null
  /** What came and is not looked at yet. */
  private rest: Buffer = NOTHING
  /** A part of a head has come. */
  private begun = false
  /** Takes in the body, while that is still to come. */
  private intake: Intake | null = null
  /** Of the body, when the current window of time began. */
  private sizeBefore = 0
  /** The answer has begun; all of it was given. */
  private answering = false
  /** The client was told to send the body. */
  private goneOn = false
  private answered = false
  private welcomed = false
  /** The body is not read as fast as it comes. */
  private bodyHeld = false
  private paused = false
  /** Nothing is listened to any more. */
  private deaf = false
  /** We have closed, or will as soon as all is sent. */
  private shutting = false
  /** What the client has sent, or may be sending, is not read to its end. */
  private unread = false
  /** In the ticker's time. */
  private deadline: number

  constructor(
    private readonly house: House,
    private readonly socket: Socket<Peer>,
  ) {
    this.writer = new AnswerWriter(house, socket, () => this.end())
    this.address = plainAddress(socket.remoteAddress ?? "") ?? UNKNOWN
    this.deadline = house.ticker.due(HEAD_MS)
    house.ticker.add(this)
  }

  /** Whether something of an answer is still to come. */
  get busy(): boolean {
    return (this.incoming !== null && !this.answered) || this.writer.behind
  }

  received(bytes: Buffer): void {
    if (this.deaf) return
    try {
      const more = this.intake === null ? bytes : this.takeIn(bytes, this.intake)
      if (more.length === 0) return
      this.rest = this.rest.length === 0 ? more : Buffer.concat([this.rest, more])
      if (this.incoming === null) this.due()
      this.regulate()
    } catch (error) {
      this.refuse(error)
    }
  }

  /** The socket takes more. */
  drained(): void {
    this.writer.drain()
    if (this.incoming !== null) return
    if (!this.begun) this.rests()
    if (this.writer.behind) return
    if (this.shutting) this.hangUp()
    else this.due()
  }

  /** The connection is gone. */
  closed(): void {
    if (!this.alive) return
    this.alive = false
    this.deaf = true
    const { incoming } = this
    this.incoming = null
    this.house.ticker.remove(this)
    this.house.gone(this)
    this.writer.drop()
    incoming?.left(new ConnectionClosed("the client has left"))
  }

  /** Ends it as soon as nothing of an answer is to come. */
  retire(): void {
    this.writer.lasts = false
    if (this.incoming === null || this.answered) this.shut()
  }

  /** Ends it at once. */
  terminate(): void {
    this.socket.terminate()
    this.closed()
  }

  tick(now: number): void {
    if (now < this.deadline) return
    this.deadline = Number.POSITIVE_INFINITY
    if (this.shutting || this.answered || this.writer.behind) this.terminate()
    else if (this.incoming !== null) this.spoil(LATE)
    else if (this.begun) this.refuse(new Refusal(408, "the request's head did not come in time"))
    else this.shut()
  }

  /** Looks at what came while the request before was served. */
  due(): void {
    if (this.deaf || this.incoming !== null || this.writer.behind || this.rest.length === 0) return
    try {
      this.next()
      this.regulate()
    } catch (error) {
      this.refuse(error)
    }
  }

  /** The body comes faster than it is read: that it does not come is not the client's fault now. */
  pause(): void {
    this.bodyHeld = true
    this.deadline = Number.POSITIVE_INFINITY
    this.regulate()
  }

  resume(): void {
    if (!this.bodyHeld) return
    this.bodyHeld = false
    if (this.intake !== null && !this.answered) this.beginWindow(this.intake)
    this.regulate()
  }

  /** Nobody reads the rest of the body: it is passed over once the answer is given. */
  abandon(): void {
    this.resume()
  }

  bodyWanted(): void {
    if (this.goneOn || this.answering || this.intake?.size !== 0 || this.incoming?.head.expects !== true) return
    this.goneOn = true
    this.writer.goOn()
  }

  welcome(): void {
    this.welcomed = true
  }

  /** Looks for a head. @throws Refusal */
  private next(): void {
    const { house } = this
    let { rest } = this
    // Some clients send an empty line too much (RFC 9112 section 2.2).
    while (rest[0] === CR && rest[1] === LF) rest = rest.subarray(2)
    this.rest = rest
    const end = rest.indexOf(BLANK_LINE)
    if (end === -1 || end > HEAD_BYTES || !isLetter(rest[0])) {
      checkBeginning(rest)
      if (!this.begun && rest.length > 0) this.deadline = house.ticker.due(HEAD_MS)
      this.begun = rest.length > 0
      return
    }
    const head = house.heads.read(rest.toString("latin1", 0, end))
    const incoming = new Incoming(head, this, house.batch)
    this.incoming = incoming
    this.begun = this.answering = this.answered = this.welcomed = this.goneOn = false
    this.writer.lasts = head.lasts
    this.rest = NOTHING
    this.deadline = Number.POSITIVE_INFINITY
    const from = end + BLANK_LINE.length
    const { inflow } = incoming
    if (inflow !== null) {
      const intake = new Intake(head.framing, inflow)
      this.intake = intake
      this.beginWindow(intake)
      if (from < rest.length) this.rest = this.takeIn(rest, intake, from)
    } else if (from < rest.length) this.rest = rest.subarray(from)
    this.serve(incoming)
  }

  /** @returns what is not the body's any more */
  private takeIn(bytes: Buffer, intake: Intake, from = 0): Buffer {
    let rest: Buffer
    try {
      rest = intake.push(bytes, from)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
      this.spoil(new HttpError({ kind: "bad_request", message: `the request body is not valid: ${error.message}` }))
      return NOTHING
    }
    if (intake.done) {
      this.intake = null
      this.deadline = Number.POSITIVE_INFINITY
      // All of the body is here, if not read yet: a client that is not listened to could leave unnoticed.
      this.resume()
      if (this.answered) this.turn()
    } else if (!this.answered && !this.bodyHeld && intake.size - this.sizeBefore >= WINDOW_BYTES) {
      this.beginWindow(intake)
    }
    return rest
  }

  /** A new window of time, in which the body must make progress. */
  private beginWindow({ size }: Intake): void {
    this.sizeBefore = size
    this.deadline = this.house.ticker.due(this.house.receiveMs)
  }

  /** Listens to the client as long as what he sends has room here. */
  private regulate(): void {
    const hold = this.bodyHeld || this.rest.length > AHEAD_BYTES
    if (hold === this.paused || !this.alive) return
    this.paused = hold
    if (hold) this.socket.pause()
    else this.socket.resume()
  }

  /** What is still to come of the request is of no use: whoever reads it hears why, and the connection ends with the answer. */
  private spoil(error: HttpError): void {
    this.deaf = true
    this.unread = true
    this.writer.lasts = false
    this.intake = null
    this.bodyHeld = false
    this.regulate()
    this.deadline = Number.POSITIVE_INFINITY
    this.incoming?.inflow?.fail(error)
    if (this.answered) this.turn()
  }

  /** No request can be made out. */
  private refuse(error: unknown): void {
    if (!(error instanceof Refusal)) {
      this.house.failed(error)
      this.terminate()
      return
    }
    this.writer.lasts = false
    this.writer.refuse(error, this.house.refused(error, this.address))
    this.shut()
  }

  private serve(incoming: Incoming): void {
    const answered = this.house.handle(incoming)
    if (answered instanceof Promise) answered.then((late) => this.answer(incoming, late)).catch(this.broken)
    else this.answer(incoming, answered)
  }

  private answer(incoming: Incoming, answered: Answered): void {
    if (incoming !== this.incoming) {
      // Nobody is there to read it. A stream of the relay's has heard of that by itself.
      if (answered instanceof Response) void answered.body?.cancel().catch(() => undefined)
      return
    }
    this.answering = true
    // Who waits to be told to send his body, and is not, may send it or not: what comes next could be either (RFC 9110 section 10.1.1).
    if (incoming.head.expects && !this.goneOn && this.intake?.size === 0) this.writer.lasts = false
    if (answered instanceof Reply) this.writer.reply(incoming, answered)
    else this.writer.pass(incoming, answered).catch(this.broken)
  }

  private readonly broken = (error: unknown): void => {
    this.house.failed(error)
    this.terminate()
  }

  /** All of the answer is given. */
  private end(): void {
    this.answered = true
    if (this.intake === null) this.turn()
    else if (!this.writer.lasts) this.shut()
    else {
      // What nobody has read is passed over.
      this.incoming?.drop()
      this.resume()
      this.deadline = this.house.ticker.due(SKIP_MS)
    }
  }

  /** The request is done with. */
  private turn(): void {
    this.incoming = null
    this.answered = false
    if (!this.writer.lasts) {
      this.shut()
      return
    }
    this.rests()
    if (this.rest.length > 0) this.house.batch.tell(this)
  }

  /** How long the connection may do nothing. */
  private rests(): void {
    const isClosed = this.shutting && !this.writer.behind
    this.deadline = this.house.ticker.due(isClosed ? LINGER_MS : this.welcomed ? REST_MS : STRANGER_REST_MS)
  }

  /**
   * Closes the connection once all is sent. Where the client may be sending still, only our side of it at first: bytes that meet a
   * closed socket would break the answer off before it is read (RFC 9112 section 9.6).
   */
  private shut(): void {
    if (this.shutting) return
    this.shutting = true
    this.deaf = true
    this.unread ||= this.intake !== null || this.rest.length > 0
    this.incoming?.drop()
    this.incoming = null
    this.rest = NOTHING
    this.bodyHeld = false
    this.house.press.flush()
    this.rests()
    this.regulate()
    if (!this.writer.behind) this.hangUp()
  }

  private hangUp(): void {
    if (this.unread) {
      this.socket.shutdown()
      return
    }
    this.socket.end()
    this.closed()
  }
}
