/** Bodies that are wrong, huge or unfold to something huge: B15 and B16, on every route that reads one. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test"
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { memoryOf } from "../support/memory.ts"
import { startWorld, type World } from "../support/world.ts"

const ROUTES = {
  gemini: "/geminicli/v1beta/models/gemini-2.5-pro:generateContent",
  stream: "/geminicli/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
  count: "/geminicli/v1beta/models/gemini-2.5-pro:countTokens",
  codex: "/codex/v1/responses",
  compact: "/codex/v1/responses/compact",
  add: "/codex/resource:add",
  verb: "/geminicli/resource:disable",
  explain: "/geminicli/resource:explain",
} as const
const ALL = Object.values(ROUTES)
const API = [ROUTES.gemini, ROUTES.stream, ROUTES.count, ROUTES.codex]
const MIB = 1024 * 1024

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
})
afterEach(async () => {
  const { pollux } = world
  expect(pollux.log().filter(({ level }) => level === "error")).toEqual([])
  const plain = await post(ROUTES.codex, JSON.stringify({ model: "gpt-5.2-codex", input: "still there?" }))
  expect(plain.status).toBe(200)
})

interface Answered {
  readonly status: number
  readonly text: string
}

async function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> {
  const response = await world.pollux.api(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  })
  return { status: response.status, text: await response.text() }
}

/** An error in its API's shape, which says nothing of the program. */
function expectError({ status, text }: Answered, codes: readonly number[]): void {
  expect(codes).toContain(status)
  expect(JSON.parse(text)).toMatchObject({ error: {} })
  expect(text).not.toMatch(/\bat \S+:\d+|node_modules|src\/|SyntaxError|Infinity/)
  expect(text.length).toBeLessThan(2_000)
}

const generates = () =>
  world.google.requests.filter(({ endpoint }) => endpoint !== "token" && endpoint !== "loadCodeAssist").length +
  world.openai.requestsTo("/responses").length

const contents = (text: string) => JSON.stringify({ contents: [{ role: "user", parts: [{ text }] }] })
const bytes = (...parts: readonly (string | readonly number[])[]) =>
  new Uint8Array(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part)))))

test.each([
  ["nothing at all", ""],
  ["white space", " \r\n\t"],
  ["cut short", '{"model":"gpt-5.2-codex","input":"h'],
  ["two values", '{"model":"gpt-5.2-codex","input":"hi"} {}'],
  ["a value and rubbish", '{"model":"gpt-5.2-codex","input":"hi"}}'],
  ["NaN", '{"model":"gpt-5.2-codex","input":"hi","temperature":NaN,"contents":[]}'],
  ["Infinity", '{"model":"gpt-5.2-codex","input":"hi","temperature":-Infinity,"contents":[]}'],
  ["single quotes", "{'model':'gpt-5.2-codex'}"],
  ["a comment", '{"model":"gpt-5.2-codex",/* */"input":"hi","contents":[]}'],
  ["a trailing comma", '{"model":"gpt-5.2-codex","input":"hi","contents":[],}'],
  ["a raw line end in a string", '{"model":"gpt-5.2-codex","input":"h\ni","contents":[]}'],
  ["a number with a leading zero", '{"model":"gpt-5.2-codex","input":"hi","n":01,"contents":[]}'],
  ["UTF-16", bytes([0xff, 0xfe], Buffer.from('{"model":1}', "utf16le").toJSON().data)],
  ["not UTF-8", bytes('{"model":"gpt-5.2-codex","input":"', [0xff, 0xc0, 0x80], '","contents":[]}')],
  ["a surrogate as bytes", bytes('{"model":"gpt-5.2-codex","input":"', [0xed, 0xa0, 0x80], '","contents":[]}')],
  ["an array of arrays, 100,000 deep", "[".repeat(100_000) + "]".repeat(100_000)],
  ["objects 100,000 deep", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
  ["brackets without end", "[".repeat(5_000_000)],
  ["a string", '"hello"'],
  ["null", "null"],
])(
  "B15: a body that is %s is answered 400 in one shape, and goes nowhere",
  async (name, body) => {
    const before = generates()
    for (const path of ALL) {
      // An admin verb without a body asks for nothing in particular: refused as well, but not as JSON.
      const answer = await post(path, body)
      expectError(answer, [400])
      expect({ name, path, stack: /RangeError|stack/.test(answer.text) }).toEqual({ name, path, stack: false })
    }
    expect(generates()).toBe(before)
  },
  60_000,
)

test("B15: depth inside a request that is otherwise right is refused or carried, and quickly", async () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
  for (const [path, body] of [
    [ROUTES.gemini, `{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"x":${deep}}`],
    [ROUTES.codex, `{"model":"gpt-5.2-codex","input":"hi","metadata":${deep}}`],
  ] as const) {
    const began = performance.now()
    expectError(await post(path, body), [400])
    expect(performance.now() - began).toBeLessThan(3_000)
  }
})

test.each([
  ["brackets", "[".repeat(29 * MIB)],
  ["objects", '{"a":'.repeat(5 * MIB)],
  ["brackets inside a request", `{"model":"gpt-5.2-codex","input":"hi","contents":[],"x":${"[".repeat(29 * MIB)}`],
])("B15: nearly 30 MiB of nothing but %s hold up nobody else", async (_, body) => {
  for (const path of [ROUTES.gemini, ROUTES.codex, ROUTES.add]) {
    let longest = 0
    let done = false
    const pulse = (async () => {
      while (!done) {
        const began = performance.now()
        await fetch(`${world.pollux.url}/healthz`)
        longest = Math.max(longest, performance.now() - began)
        await Bun.sleep(5)
      }
    })()
    expectError(await post(path, body), [400])
    done = true
    await pulse
    expect(longest).toBeLessThan(1_000)
  }
})

test.each([
  ["a member called __proto__", '"__proto__":{"model":"evil","stream":true},"constructor":{"prototype":{"x":1}}'],
  ["the same key twice", '"stream":false,"stream":false'],
  ["lone surrogates as escapes", '"metadata":{"a":"\\ud800","\\udfff":"b"}'],
  ["a number beyond every double", '"metadata":{"n":1e999,"m":-1e999}'],
  ["a number of 10,000 digits", `"metadata":{"n":${"9".repeat(10_000)}}`],
  ["keys that are numbers", '"0":1,"1":2,"length":3'],
  ["an empty key", '"":{"":""}'],
])("B15: %s does no harm: served or refused as the API does, never a crash", async (_, member) => {
  const gemini = await post(ROUTES.gemini, `{${member},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}`)
  const codex = await post(ROUTES.codex, `{${member},"model":"gpt-5.2-codex","input":"hi"}`)
  for (const answer of [gemini, codex]) {
    if (answer.status !== 200) expectError(answer, [400])
  }
})

test("B15: the last of two equal keys counts, on our side as on the upstream's", async () => {
  const answer = await post(ROUTES.codex, '{"model":"evil","input":"first","input":"second","model":"gpt-5.2-codex"}')
  expect(answer.status).toBe(200)
  expect(answer.text).toContain("You said: second")
  expectError(await post(ROUTES.codex, '{"model":"gpt-5.2-codex","input":"x","model":"evil"}'), [400])
})

test("B15: a byte order mark never reaches an upstream: left out, or refused (RFC 8259 section 8.1 allows both)", async () => {
  const mark = [0xef, 0xbb, 0xbf]
  expect((await post(ROUTES.codex, bytes(mark, '{"model":"gpt-5.2-codex","input":"hi"}'))).status).toBe(200)
  expect(world.openai.requestsTo("/responses").at(-1)?.body).toStartWith("{")
  expectError(await post(ROUTES.gemini, bytes(mark, contents("hi"))), [400])
})

test("B15: 50 MB are refused with 413, declared or not, and are not kept", async () => {
  const { pollux } = world
  const huge = new Uint8Array(50 * MIB).fill(0x20)
  const before = memoryOf(pollux.pid).rss
  for (const path of [ROUTES.gemini, ROUTES.codex, ROUTES.add]) {
    expectError(await post(path, huge), [413])
    const parts = new ReadableStream<Uint8Array>({
      pull(controller) {
        for (let at = 0; at < huge.length; at += MIB) controller.enqueue(huge.subarray(at, at + MIB))
        controller.close()
      },
    })
    const chunked = await pollux
      .api(path, { method: "POST", headers: { "content-type": "application/json" }, body: parts })
      .then(async (response) => ({ status: response.status, text: await response.text() }))
      // The rest is not read: a client that is still sending may meet a closed connection instead of the answer.
      .catch(() => null)
    if (chunked !== null) expectError(chunked, [413])
  }
  expect(memoryOf(pollux.pid).rss - before).toBeLessThan(160 * MIB)
}, 60_000)

const ZEROS = new Uint8Array(64 * MIB)
const BOMBS: Readonly<Record<string, () => Uint8Array>> = {
  gzip: () => gzipSync(ZEROS),
  deflate: () => deflateSync(ZEROS),
  br: () => brotliCompressSync(ZEROS, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } }),
  zstd: () => zstdCompressSync(ZEROS),
}

test.each(Object.keys(BOMBS))(
  "B16: a %s bomb is answered 413, and ten at once stay within bounds",
  async (coding) => {
    const bomb = new Uint8Array(BOMBS[coding]?.() ?? new Uint8Array())
    expect(bomb.length).toBeLessThan(ZEROS.length / 500)
    const { pollux } = world
    const before = memoryOf(pollux.pid).rss
    let most = before
    const watch = setInterval(() => {
      most = Math.max(most, memoryOf(pollux.pid).rss)
    }, 20)
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        post(API[index % API.length] ?? ROUTES.codex, bomb, { "content-encoding": coding }),
      ),
    )
    clearInterval(watch)
    for (const answer of answers) expectError(answer, [413])
    // Ten times what one request may occupy, with its growing buffer.
    expect(most - before).toBeLessThan(10 * 64 * MIB)
  },
  60_000,
)

test("B16: every coding that is taken serves, and the wrong ones are told apart", async () => {
  const body = JSON.stringify({ model: "gpt-5.2-codex", input: "packed" })
  const packed = {
    gzip: gzipSync(body),
    deflate: deflateSync(body),
    br: brotliCompressSync(body),
    zstd: zstdCompressSync(body),
  }
  for (const [coding, data] of Object.entries(packed)) {
    expect((await post(ROUTES.codex, new Uint8Array(data), { "content-encoding": coding })).status).toBe(200)
    // Cut short, and not in that coding at all.
    const cut = new Uint8Array(data.subarray(0, data.length - 6))
    expectError(await post(ROUTES.codex, cut, { "content-encoding": coding }), [400])
    expectError(await post(ROUTES.gemini, contents("plain"), { "content-encoding": coding }), [400])
  }
  expect(
    (await post(ROUTES.codex, new Uint8Array(deflateRawSync(body)), { "content-encoding": "deflate" })).status,
  ).toBe(200)
  const twice = new Uint8Array(gzipSync(gzipSync(body)))
  for (const coding of ["gzip, gzip", "gzip,br", "compress", "rot13", "__proto__", "GZIP;q=1"]) {
    expectError(await post(ROUTES.codex, twice, { "content-encoding": coding }), [415])
  }
  // Packed twice under one name: what comes out is no JSON.
  expectError(await post(ROUTES.codex, twice, { "content-encoding": "gzip" }), [400])
})

test("B16: another content type is refused", async () => {
  const body = JSON.stringify({ model: "gpt-5.2-codex", input: "hi" })
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/json",
  ]) {
    for (const path of [ROUTES.gemini, ROUTES.codex, ROUTES.add]) {
      expectError(await post(path, body, { "content-type": type }), [400, 415])
    }
  }
})
