import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { cookieValue } from "../../src/http/cookies.ts"
import { escapeHtml, page } from "../../src/http/pages.ts"

describe("a page", () => {
  test("means just the text that was put into it, wherever it stands", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme" }), async (text) => {
        const escaped = escapeHtml(text)
        expect(escaped).not.toMatch(/[<>"']/)
        expect(escaped.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))).toBe(text)
        const html = await page({
          status: 400,
          title: text,
          lines: [text],
          form: { hidden: { state: text }, button: "Go" },
          link: { href: text, text },
        }).text()
        const empty = await page({
          status: 400,
          title: "",
          lines: [""],
          form: { hidden: { state: "" }, button: "Go" },
          link: { href: "", text: "" },
        }).text()
        const tags = (markup: string) => markup.split("<").length
        expect(tags(html)).toBe(tags(empty))
      }),
      { numRuns: 50 },
    )
  })

  test("allows its own style by hash, and nothing else", async () => {
    const response = page({ status: 200, title: "t", lines: [] })
    const style = /<style>([^<]*)<\/style>/.exec(await response.text())?.[1] ?? ""
    const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64")
    expect(response.headers.get("content-security-policy")).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    )
  })
})

test.each([
  ["a=1; login=x; b=2", "x"],
  ["login=first; login=second", "first"],
  ["xlogin=x", null],
  ["login", null],
  ["login=", ""],
  ["login=a=b", "a=b"],
  ["", null],
])("the cookie in %p is %p", (header, value) => {
  expect(cookieValue(new Headers({ cookie: header }), "login")).toBe(value)
})
