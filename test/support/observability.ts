/** The dashboard and the alert rules, as far as tests look into them. */
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { type Static, Type } from "@sinclair/typebox"
import { Value } from "@sinclair/typebox/value"

const folder = resolve(import.meta.dir, "../../scripts/observability")

const Target = Type.Object({ refId: Type.String(), expr: Type.String(), legendFormat: Type.String() })
const Panel = Type.Object({
  id: Type.Integer(),
  type: Type.String(),
  title: Type.String(),
  gridPos: Type.Object({ x: Type.Integer(), y: Type.Integer(), w: Type.Integer(), h: Type.Integer() }),
  targets: Type.Optional(Type.Array(Target)),
})
const Dashboard = Type.Object({
  title: Type.String(),
  uid: Type.String(),
  schemaVersion: Type.Integer(),
  panels: Type.Array(Panel),
  annotations: Type.Object({ list: Type.Array(Type.Object({ expr: Type.String() })) }),
  templating: Type.Object({
    list: Type.Array(Type.Object({ name: Type.String(), definition: Type.Optional(Type.String()) })),
  }),
})
export type Panel = Static<typeof Panel>

const Rules = Type.Object({
  groups: Type.Array(
    Type.Object({
      rules: Type.Array(
        Type.Object({
          alert: Type.String(),
          expr: Type.String(),
          labels: Type.Object({ severity: Type.String() }),
          annotations: Type.Object({ summary: Type.String(), description: Type.String() }),
        }),
      ),
    }),
  ),
})

export const dashboard = Value.Parse(Dashboard, JSON.parse(readFileSync(join(folder, "dashboard.json"), "utf8")))
export const rules = Value.Parse(
  Rules,
  Bun.YAML.parse(readFileSync(join(folder, "alerts.yml"), "utf8")),
).groups.flatMap((group) => group.rules)

/** Every query of the dashboard: of panels, of annotations, and what its variables are read from. */
export const dashboardQueries: readonly string[] = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.map(({ expr }) => expr),
]
export const variableQueries = dashboard.templating.list.flatMap(({ definition }) => definition ?? [])

/** A query with Grafana's variables filled in, so that Prometheus can read it. */
export function filled(query: string): string {
  return query.replaceAll("$__rate_interval", "5m").replace(/\$\w+/g, ".*")
}

/** The metrics that a query names, with the labels that it selects them by. */
export function selectorsOf(query: string): readonly { readonly metric: string; readonly labels: readonly string[] }[] {
  return [...query.matchAll(/\b(pollux_\w+)(?:\{([^}]*)\})?/g)].map(([, metric = "", matchers = ""]) => ({
    metric,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
  }))
}

/** The labels that a query groups or joins by. */
export function groupingsOf(query: string): readonly string[] {
  return [...query.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)].flatMap(([, list = ""]) =>
    list
      .split(",")
      .map((label) => label.trim())
      .filter((label) => label !== ""),
  )
}
