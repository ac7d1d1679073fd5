import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { validate } from "dockerfile-utils"
import { type Loaded, loadConfig } from "../../src/config/load.ts"
import { argumentsOf, dockerfileText, isCopy, root, stages } from "../support/dockerfile.ts"

const read = (file: string) => readFileSync(join(root, file), "utf8")
const [build, final] = stages()

describe("the Dockerfile", () => {
  test("has nothing that a linter would change", () => {
    expect(validate(dockerfileText).map(({ message, range }) => `${range.start.line + 1}: ${message}`)).toEqual([])
  })

  test("names every base with a tag, and never the latest", () => {
    for (const { image } of stages()) expect(image).toMatch(/^[\w.-]+(\/[\w.-]+)*:(?!latest)[\w.-]+$/)
  })

  test("copies only what .dockerignore lets into the build, and lets in nothing that it does not copy", () => {
    const copied = (build?.instructions ?? []).filter(isCopy).flatMap((instruction) =>
      instruction
        .getArguments()
        .slice(0, -1)
        .map((argument) => argument.getValue()),
    )
    const rules = read(".dockerignore")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
    expect(rules[0]).toBe("*")
    expect(
      rules
        .slice(1)
        .map((line) => line.replace(/^!/, ""))
        .sort(),
    ).toEqual([...copied].sort())
  })

  test("the image runs as nobody's user, keeps its data in a volume, ends gracefully and can be asked how it is", () => {
    expect(argumentsOf(final, "USER")).toEqual([["65532:65532"]])
    expect(argumentsOf(final, "STOPSIGNAL")).toEqual([["SIGTERM"]])
    expect(argumentsOf(final, "EXPOSE")).toEqual([["8188"]])
    expect(argumentsOf(final, "RUN")).toEqual([])
    const line = (keyword: string) =>
      final?.instructions.find((one) => one.getKeyword() === keyword)?.getRawArgumentsContent() ?? ""
    expect(JSON.parse(line("VOLUME"))).toEqual(argumentsOf(final, "WORKDIR")[0])
    expect(JSON.parse(line("ENTRYPOINT"))).toEqual(["/usr/local/bin/pollux"])
    expect(line("HEALTHCHECK")).toEndWith('CMD ["/usr/local/bin/pollux", "health"]')
  })

  test("the port is the one that the example configuration listens on, for every interface", () => {
    const loaded: Loaded = loadConfig({ explicitPath: join(root, "config.toml.example"), env: {}, cwd: "/app/data" })
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"))
    const { listenAddr, listenPort, databasePath } = loaded.config.basic
    expect({ listenAddr, listenPort, databasePath }).toEqual({
      listenAddr: "0.0.0.0",
      listenPort: 8188,
      databasePath: "data.db",
    })
  })
})

describe("the compose file", () => {
  /** Keys of the Compose specification that it may use. */
  const KNOWN = {
    top: ["name", "services", "volumes", "networks", "configs", "secrets"],
    service:
      "image build restart ports volumes stop_grace_period stop_signal read_only tmpfs cap_drop cap_add security_opt pids_limit ulimits logging environment secrets user healthcheck mem_limit cpus".split(
        " ",
      ),
  }
  const parsed = Object(Bun.YAML.parse(read("docker-compose.yml.example")))
  const service = Object(parsed.services?.pollux)

  test("has only keys of the Compose specification", () => {
    expect(Object.keys(parsed).filter((key) => !KNOWN.top.includes(key))).toEqual([])
    expect(Object.keys(parsed.services)).toEqual(["pollux"])
    expect(Object.keys(service).filter((key) => !KNOWN.service.includes(key))).toEqual([])
  })

  test("takes away what the server does not need", () => {
    expect(service).toMatchObject({
      read_only: true,
      cap_drop: ["ALL"],
      security_opt: ["no-new-privileges:true"],
      restart: "unless-stopped",
    })
    for (const port of service.ports) expect(port).toStartWith("127.0.0.1:")
  })

  test("mounts where the image looks", () => {
    const [config, data] = service.volumes
    const environment = argumentsOf(final, "ENV").flat()
    expect(environment).toContain(`POLLUX_CONFIG=${config.split(":")[1]}`)
    expect(config).toEndWith(":ro")
    expect([data.split(":")[1]]).toEqual([...(argumentsOf(final, "WORKDIR")[0] ?? [])])
    expect(Object.keys(parsed.volumes)).toEqual([data.split(":")[0]])
  })

  test("gives open streams the time that the server gives them", () => {
    const loaded = loadConfig({ explicitPath: join(root, "config.toml.example"), env: {}, cwd: root })
    if (!loaded.ok) throw new Error(loaded.problems.join("\n"))
    const seconds = Number(/^(\d+)s$/.exec(service.stop_grace_period)?.[1])
    expect(seconds * 1000).toBeGreaterThanOrEqual(loaded.config.basic.drainTimeoutMs + 12_000)
  })
})
