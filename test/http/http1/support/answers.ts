/** Reads answers as strictly as a suspicious client would. */

export interface Answer {
  readonly status: number
  /** By name in lower case; one that comes twice is an error. */
  readonly fields: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Sizes of its chunks, the last one included. */
  readonly chunks: readonly number[] | null
}

const LINE_END = "\r\n"

/**
 * @param methods of the requests that are answered, GET where not given
 * @param ended nothing more comes
 * @returns whole answers (without 100), and how many bytes are left behind them
 * @throws Error for what is no answer
 */
export function readAnswers(
  bytes: Buffer,
  methods: readonly string[],
  ended: boolean,
): { readonly answers: readonly Answer[]; readonly rest: number } {
  const answers: Answer[] = []
  let at = 0
  while (at < bytes.length) {
    const end = bytes.indexOf("\r\n\r\n", at)
    if (end === -1) break
    const { status, fields } = readHead(bytes.toString("latin1", at, end))
    const from = end + 4
    if (status === 100) {
      at = from
      continue
    }
    const bare = status === 204 || status === 304 || methods[answers.length] === "HEAD"
    const read = bare ? { body: Buffer.alloc(0), end: from, chunks: null } : readBody(bytes, from, fields, ended)
    if (read === null) break
    answers.push({ status, fields, body: read.body, chunks: read.chunks })
    at = read.end
  }
  return { answers, rest: bytes.length - at }
}

function readHead(text: string): Pick<Answer, "status" | "fields"> {
  const [first = "", ...lines] = text.split(LINE_END)
  const status = /^HTTP\/1\.1 (\d{3}) [A-Za-z ]*$/.exec(first)?.[1]
  if (status === undefined) throw new Error(`no status line: ${first}`)
  const fields: Record<string, string> = {}
  for (const line of lines) {
    const [, name = "", value = ""] = /^([a-z0-9-]+): (.*)$/.exec(line) ?? []
    if (name === "" || /[\r\n]/.test(line)) throw new Error(`no field: ${line}`)
    if (Object.hasOwn(fields, name)) throw new Error(`a field comes twice: ${line}`)
    fields[name] = value
  }
  return { status: Number(status), fields }
}

type ReadBody = { readonly body: Buffer; readonly end: number; readonly chunks: readonly number[] | null }

function readBody(bytes: Buffer, from: number, fields: Answer["fields"], ended: boolean): ReadBody | null {
  const length = fields["content-length"]
  const coding = fields["transfer-encoding"]
  if (length !== undefined && coding !== undefined) throw new Error("both a length and a coding")
  if (coding !== undefined) return coding === "chunked" ? readChunks(bytes, from) : null
  if (length === undefined) {
    if (fields.connection !== "close") throw new Error("nobody knows where the answer ends")
    return ended ? { body: bytes.subarray(from), end: bytes.length, chunks: null } : null
  }
  const end = from + Number(length)
  return end > bytes.length ? null : { body: bytes.subarray(from, end), end, chunks: null }
}

function readChunks(bytes: Buffer, from: number): ReadBody | null {
  const parts: Buffer[] = []
  const chunks: number[] = []
  for (let at = from; ; ) {
    const lineEnd = bytes.indexOf(LINE_END, at)
    if (lineEnd === -1) return null
    const line = bytes.toString("latin1", at, lineEnd)
    if (!/^[0-9a-f]{1,8}$/.test(line)) throw new Error(`no chunk's size: ${JSON.stringify(line.slice(0, 80))}`)
    const size = Number.parseInt(line, 16)
    const data = lineEnd + 2
    const end = data + size + 2
    if (end > bytes.length) return null
    if (bytes.toString("latin1", end - 2, end) !== LINE_END) throw new Error("a chunk does not end where it should")
    chunks.push(size)
    if (size === 0) return { body: Buffer.concat(parts), end, chunks }
    parts.push(bytes.subarray(data, data + size))
    at = end
  }
}
