import { expect, test } from "bun:test"
import { resolve } from "node:path"
import { type Static, Type } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"
import { type Package, productionPackages } from "../../scripts/lib/release/packages.ts"
import { bomOf, purlOf } from "../../scripts/lib/release/sbom.ts"

const root = resolve(import.meta.dir, "../..")
const product = {
  name: "pollux",
  version: "1.2.3",
  license: "AGPL-3.0-only",
  description: "text",
  direct: ["elysia", "@sinclair/typebox"],
  bun: "1.4.5",
  timestamp: "2026-11-22T12:00:00+00:00",
}
const packages = productionPackages(root)

/** What the JSON schema of CycloneDX 1.6 demands of the parts that we write; nothing beside them is allowed. */
const strict = { additionalProperties: false }
const Licenses = Type.Array(
  Type.Union([
    Type.Object({ license: Type.Object({ id: Type.String({ pattern: "^[A-Za-z0-9.+-]+$" }) }, strict) }, strict),
    Type.Object({ expression: Type.String({ minLength: 1 }) }, strict),
  ]),
  { minItems: 1 },
)
const Component = Type.Object(
  {
    type: Type.Union([Type.Literal("application"), Type.Literal("library"), Type.Literal("platform")]),
    "bom-ref": Type.String({ minLength: 1 }),
    group: Type.Optional(Type.String({ pattern: "^@" })),
    name: Type.String({ minLength: 1 }),
    version: Type.String({ minLength: 1, maxLength: 1024 }),
    description: Type.Optional(Type.String()),
    scope: Type.Optional(Type.Literal("required")),
    hashes: Type.Optional(
      Type.Array(
        Type.Object({ alg: Type.Literal("SHA-512"), content: Type.String({ pattern: "^[a-f0-9]{128}$" }) }, strict),
      ),
    ),
    licenses: Licenses,
    purl: Type.String({ pattern: "^pkg:(npm|generic)/(%40[^/@]+/)?[^/@]+@[^@]+$" }),
  },
  strict,
)
const Bom = Type.Object(
  {
    $schema: Type.Literal("http://cyclonedx.org/schema/bom-1.6.schema.json"),
    bomFormat: Type.Literal("CycloneDX"),
    specVersion: Type.Literal("1.6"),
    serialNumber: Type.String({
      pattern: "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
    }),
    version: Type.Integer({ minimum: 1 }),
    metadata: Type.Object({ timestamp: Type.Optional(Type.String()), component: Component }, strict),
    components: Type.Array(Component, { uniqueItems: true }),
    dependencies: Type.Array(
      Type.Object({ ref: Type.String(), dependsOn: Type.Array(Type.String(), { uniqueItems: true }) }, strict),
      { uniqueItems: true },
    ),
  },
  strict,
)

function parsed(value: unknown): Static<typeof Bom> {
  const wrong = [...Value.Errors(Bom, value)].map(({ path, message }) => `${path}: ${message}`)
  if (wrong.length > 0) throw new Error(wrong.join("\n"))
  return Value.Parse(Bom, value)
}
const bom = parsed(bomOf(product, packages))

test("the bill of materials has the form that CycloneDX 1.6 demands", () => {
  expect(bom.components.length).toBe(packages.length + 1)
  expect(bom.metadata.component.licenses).toEqual([{ license: { id: "AGPL-3.0-only" } }])
})

test("each reference is there, and there once", () => {
  const refs = [bom.metadata.component, ...bom.components].map((component) => component["bom-ref"])
  expect(new Set(refs).size).toBe(refs.length)
  expect(bom.dependencies.map(({ ref }) => ref).sort()).toEqual([...refs].sort())
  for (const { dependsOn } of bom.dependencies) for (const ref of dependsOn) expect(refs).toContain(ref)
})

test("everything in it is reached from the product", () => {
  const whole = parsed(bomOf({ ...product, direct: packages.map(({ name }) => name) }, packages))
  const reached = new Set<string>()
  const visit = (ref: string) => {
    if (reached.has(ref)) return
    reached.add(ref)
    for (const next of whole.dependencies.find((one) => one.ref === ref)?.dependsOn ?? []) visit(next)
  }
  visit(whole.metadata.component["bom-ref"])
  expect(reached.size).toBe(whole.components.length + 1)
})

test("the same content has the same serial number, other content another one", () => {
  expect(bomOf(product, packages)).toEqual(bomOf(product, packages))
  expect(bomOf({ ...product, version: "1.2.4" }, packages).serialNumber).not.toBe(bom.serialNumber)
})

test("a scope, a choice of licences and a version with a build are written as their standards want", () => {
  expect(purlOf({ name: "@a/b", version: "1.0.0" })).toBe("pkg:npm/%40a/b@1.0.0")
  const one: Package = {
    name: "@a/b",
    version: "1.0.0",
    sha512: Buffer.alloc(64, 1).toString("base64"),
    folder: "",
    license: "MIT OR Apache-2.0",
    author: null,
    scripts: [],
    needs: [],
  }
  const small = parsed(bomOf({ ...product, version: "1.0.0+abc", timestamp: null }, [one]))
  expect(small.metadata.component.purl).toBe("pkg:generic/pollux@1.0.0%2Babc")
  expect(small.components[1]).toMatchObject({ group: "@a", name: "b", licenses: [{ expression: "MIT OR Apache-2.0" }] })
})
