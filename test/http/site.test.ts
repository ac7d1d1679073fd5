import { expect, test } from "bun:test"
import { fromElsewhere } from "../../src/http/site.ts"

const cases: readonly (readonly [boolean, Record<string, string>])[] = [
  [false, {}],
  [false, { "sec-fetch-site": "none" }],
  [false, { "sec-fetch-site": "same-origin" }],
  [true, { "sec-fetch-site": "cross-site" }],
  [true, { "sec-fetch-site": "same-site" }],
  [false, { host: "pollux:8188", origin: "http://pollux:8188" }],
  [false, { host: "Pollux:8188", referer: "http://pollux:8188/page" }],
  [true, { host: "pollux:8188", origin: "http://pollux:9999" }],
  [true, { host: "pollux:8188", origin: "https://evil.example" }],
  [true, { host: "pollux:8188", origin: "null" }],
  [true, { host: "pollux:8188", referer: "https://evil.example/pollux:8188" }],
]

for (const [foreign, headers] of cases) {
  test(`a request with ${JSON.stringify(headers)} is ${foreign ? "" : "not "}another site's`, () => {
    expect(fromElsewhere(new Headers(headers))).toBe(foreign)
  })
}
