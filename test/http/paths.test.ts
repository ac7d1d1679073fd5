import { expect, test } from "bun:test"
import { PathTable } from "../../src/http/paths.ts"

const table = new PathTable([
  { method: "GET", path: "/a/models" },
  { method: "GET", path: "/a/models/:model" },
  { method: "POST", path: "/a/models/*" },
  { method: "POST", path: "/a/v1.0/run" },
  { method: "ALL", path: "/a/:verb" },
])

test.each([
  ["/a/models", ["GET", "HEAD"]],
  ["/a/models/", ["GET", "HEAD", "POST"]],
  ["/a/models/x:run", ["GET", "HEAD", "POST"]],
  ["/a/models/x/y", ["POST"]],
  ["/a/v1.0/run", ["POST"]],
  ["/a/v1x0/run", []],
  ["/a/anything", []],
  ["/b", []],
])("%p takes %p", (path, methods) => {
  expect(table.methods(path)).toEqual(methods)
})
