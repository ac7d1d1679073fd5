/** The software bill of materials, in the form of CycloneDX 1.6 (ECMA-424) as JSON. Pure. */
import type { Package } from "./packages.ts"

export interface Product {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly description: string
  /** Names of its direct dependencies. */
  readonly direct: readonly string[]
  /** Version of the runtime that is part of the executable. */
  readonly bun: string
  /** ISO 8601: when the commit was made, so that the same commit gives the same file. */
  readonly timestamp: string | null
}

export function bomOf(product: Product, packages: readonly Package[]): Readonly<Record<string, unknown>> {
  const own = `pkg:generic/${product.name}@${encodeURIComponent(product.version)}`
  const runtime = `pkg:npm/bun@${product.bun}`
  const refs = new Map(packages.map((one) => [`${one.name}@${one.version}`, purlOf(one)]))
  const content = {
    metadata: {
      ...(product.timestamp === null ? {} : { timestamp: product.timestamp }),
      component: {
        type: "application",
        "bom-ref": own,
        name: product.name,
        version: product.version,
        description: product.description,
        licenses: licensesOf(product.license),
        purl: own,
      },
    },
    components: [
      {
        type: "platform",
        "bom-ref": runtime,
        name: "bun",
        version: product.bun,
        scope: "required",
        licenses: licensesOf("MIT"),
        purl: runtime,
      },
      ...packages.map(componentOf),
    ],
    dependencies: [
      {
        ref: own,
        dependsOn: [runtime, ...packages.filter(({ name }) => product.direct.includes(name)).map(purlOf)],
      },
      { ref: runtime, dependsOn: [] },
      ...packages.map((one) => ({
        ref: purlOf(one),
        dependsOn: one.needs.flatMap((need) => refs.get(need) ?? []),
      })),
    ],
  }
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(content))}`,
    version: 1,
    ...content,
  }
}

function componentOf(one: Package) {
  const scoped = /^(@[^/]+)\/(.+)$/.exec(one.name)
  return {
    type: "library",
    "bom-ref": purlOf(one),
    ...(scoped?.[1] === undefined ? {} : { group: scoped[1] }),
    name: scoped?.[2] ?? one.name,
    version: one.version,
    scope: "required",
    hashes: [{ alg: "SHA-512", content: Buffer.from(one.sha512, "base64").toString("hex") }],
    licenses: licensesOf(one.license),
    purl: purlOf(one),
  }
}

/** Package URL of the npm type: the scope's @ is percent-encoded. */
export function purlOf({ name, version }: Pick<Package, "name" | "version">): string {
  return `pkg:npm/${name.replace(/^@/, "%40")}@${version}`
}

/** One id of the SPDX list, or an expression. */
function licensesOf(license: string) {
  return /^[\w.+-]+$/.test(license) ? [{ license: { id: license } }] : [{ expression: license }]
}

/** A UUID that follows from the content (RFC 9562, version 8). */
function uuidOf(content: string): string {
  const bytes = new Uint8Array(new Bun.CryptoHasher("sha256").update(content).digest().subarray(0, 16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return Buffer.from(bytes)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
}
