import { describe, expect, test } from "bun:test"
import {
  dashboard,
  dashboardQueries,
  filled,
  groupingsOf,
  type Panel,
  rules,
  selectorsOf,
  variableQueries,
} from "../support/observability.ts"
import { judgeExpressions, promtool } from "../support/promtool.ts"

describe("the alert rules", () => {
  test("are what Prometheus takes", async () => {
    const { code, output } = await promtool("check", "rules", "--lint-fatal", "scripts/observability/alerts.yml")
    expect(`${code} ${code === 0 ? "" : output}`).toBe("0 ")
  })

  test("fire when they should and stay quiet when they should", async () => {
    const { code, output } = await promtool("test", "rules", "test/release/alerts.test.yml")
    expect(`${code} ${code === 0 ? "" : output}`).toBe("0 ")
  })

  test("are all tried in that test, both ways", async () => {
    const text = await Bun.file(`${import.meta.dir}/alerts.test.yml`).text()
    for (const { alert } of rules) {
      expect(text).toContain(`alertname: ${alert}, exp_alerts: []`)
      const fires = alert === "PolluxAbsent" ? `alertname: ${alert}\n` : `{alertname="${alert}",`
      expect(text).toContain(fires)
    }
  })

  test("say how bad it is, what it means and what to do", () => {
    expect(rules.length).toBeGreaterThanOrEqual(7)
    for (const { labels, annotations } of rules) {
      expect(["warning", "critical"]).toContain(labels.severity)
      expect(annotations.summary.length).toBeLessThanOrEqual(100)
      expect(annotations.description).toEndWith(annotations.description.endsWith("?") ? "?" : ".")
    }
  })
})

describe("the dashboard", () => {
  test("asks nothing that Prometheus could not read", async () => {
    expect(dashboardQueries.length).toBeGreaterThan(25)
    expect(await judgeExpressions(dashboardQueries.map(filled))).toBe("")
    expect(await judgeExpressions(["rate(x[5m]"])).not.toBe("")
  })

  test("uses only variables that it defines", () => {
    const names = new Set([...dashboard.templating.list.map(({ name }) => name), "__rate_interval", "__all"])
    const used = [...dashboardQueries, ...variableQueries].flatMap((query) =>
      [...query.matchAll(/\$\{?(\w+)/g)].map(([, name = ""]) => name),
    )
    expect(used.filter((name) => !names.has(name))).toEqual([])
  })

  test("has panels with different numbers that do not lie on each other", () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    const overlaps = (a: Panel, b: Panel) =>
      a.gridPos.x < b.gridPos.x + b.gridPos.w &&
      b.gridPos.x < a.gridPos.x + a.gridPos.w &&
      a.gridPos.y < b.gridPos.y + b.gridPos.h &&
      b.gridPos.y < a.gridPos.y + a.gridPos.h
    const clashes = dashboard.panels.flatMap((a, index) =>
      dashboard.panels.slice(index + 1).flatMap((b) => (overlaps(a, b) ? [`${a.title} / ${b.title}`] : [])),
    )
    expect(clashes).toEqual([])
    expect(dashboard.panels.filter(({ gridPos }) => gridPos.x + gridPos.w > 24)).toEqual([])
  })
})

test("metrics and labels are found in a query", () => {
  const query = 'sum by (a, b) (rate(pollux_x_bucket{c=~"$c",d!="e"}[5m])) / on (f) pollux_y'
  expect(selectorsOf(query)).toEqual([
    { metric: "pollux_x_bucket", labels: ["c", "d"] },
    { metric: "pollux_y", labels: [] },
  ])
  expect(groupingsOf(query)).toEqual(["a", "b", "f"])
  expect(filled('x{a=~"$a"}[$__rate_interval]')).toBe('x{a=~".*"}[5m]')
})
