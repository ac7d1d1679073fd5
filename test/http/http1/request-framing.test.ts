import { describe, expect, test } from "bun:test"
import { post, read, refused, refusedPost } from "./support/heads.ts"

describe("the body's end", () => {
  test.each<[readonly string[], number | "chunked"]>([
    [[], 0],
    [["Content-Length: 0"], 0],
    [["content-length:\t5 "], 5],
    [["CONTENT-LENGTH: 005"], 5],
    [["Content-Length: 999999999999999"], 999_999_999_999_999],
    [["Transfer-Encoding: chunked"], "chunked"],
    [["transfer-encoding:CHUNKED\t"], "chunked"],
    [["Content_Length: 5", "X-Content-Length: 6", "Transfer_Encoding: chunked"], 0],
  ])("of %j is %p", (lines, framing) => {
    expect(post(...lines).framing).toBe(framing)
    // No method has its own rules.
    expect(read("GET / HTTP/1.1", "host: a", ...lines).framing).toBe(framing)
  })

  test.each([
    "",
    "-5",
    "+5",
    "5.0",
    "5e1",
    "0x5",
    "5 5",
    "5;",
    "five",
    "\xb2",
    "5\xa0",
    "5\x85",
    "5, 5",
    "5,5",
    "5, 6",
    "5,",
    ",5",
    "1000000000000000",
    "18446744073709551621",
    "Infinity",
  ])("is not known by the length %j", (length) => {
    refusedPost(`content-length: ${length}`)
    refused(`POST / HTTP/1.0\r\ncontent-length: ${length}`)
  })

  test("is not known by two lengths, be they the same", () => {
    for (const other of ["5", "6", "", "05"]) refusedPost("content-length: 5", "x: y", `Content-Length: ${other}`)
  })

  test.each([
    "",
    "gzip",
    "identity",
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked,",
    ",chunked",
    "chunked;a",
    "chunked;",
    "xchunked",
    "chunkedx",
    "chunke",
    '"chunked"',
    "chunked\xa0",
    "\x85chunked",
    "chun ked",
  ])("is not known by the coding %j", (coding) => {
    refusedPost(`transfer-encoding: ${coding}`)
    refusedPost(`transfer-encoding: ${coding}`, "content-length: 3")
  })

  test("is not known by codings of two fields", () => {
    for (const other of ["chunked", "", "identity"]) {
      refusedPost("transfer-encoding: chunked", `Transfer-Encoding: ${other}`)
      refusedPost(`Transfer-Encoding: ${other}`, "transfer-encoding: chunked")
    }
  })

  test("is not known by both a length and a coding, in either order, whatever they are", () => {
    for (const length of ["0", "5", "", "x"]) {
      refusedPost(`content-length: ${length}`, "transfer-encoding: chunked")
      refusedPost("transfer-encoding: chunked", `content-length: ${length}`)
    }
  })

  test("is not known by a coding in HTTP/1.0", () => {
    refused("POST / HTTP/1.0\r\ntransfer-encoding: chunked")
    refused("POST / HTTP/1.0\r\ntransfer-encoding: identity\r\ncontent-length: 5")
    expect(read("POST / HTTP/1.0\r\ncontent-length: 5").framing).toBe(5)
  })

  test("is not hidden by white space before a colon, nor by a line that goes on", () => {
    for (const line of [
      "content-length : 5",
      "content-length\t: 5",
      " content-length: 5",
      "transfer-encoding : chunked",
    ]) {
      refusedPost(line)
      refusedPost("x: y", line)
    }
    for (const more of [" 5", "\t5", " ", "\tchunked"]) {
      refusedPost("content-length: ", more)
      refusedPost("transfer-encoding:", more)
    }
  })
})
