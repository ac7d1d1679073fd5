import { afterAll, beforeAll, expect, test } from "bun:test"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Captured, capture } from "../../scripts/lib/capture.ts"
import { startPollux } from "../support/binary.ts"
import { ensureBuilt } from "../support/build.ts"
import { confinedBy } from "../support/confined.ts"
import { listenForDatagrams } from "../support/datagrams.ts"
import { freshKey } from "../support/secrets.ts"
import { startWorld } from "../support/world.ts"

const GEMINI = "/geminicli/v1beta/models/gemini-2.5-pro"
const prompt = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hello" }] }] })

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pollux-unit-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function service(...args: readonly string[]): Promise<Captured> {
  return capture([await ensureBuilt(), "service", ...args], { cwd: folder, env: { PATH: process.env.PATH } })
}
const printed = async (...args: readonly string[]) => (await service("print", "--program", "/bin/true", ...args)).stdout

test("it does its work with the system calls, sockets and capabilities that the unit leaves it", async () => {
  const through = await confinedBy(await printed(), folder)
  const name = join(folder, "notify")
  await using manager = await listenForDatagrams(name)
  await using world = await startWorld({ through, env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "1000000" } })
  const { pollux } = world
  await manager.sees("READY", "1")
  const post = (path: string, body: string) =>
    pollux.api(path, { method: "POST", headers: { "content-type": "application/json" }, body })

  expect((await post(`${GEMINI}:generateContent`, prompt)).status).toBe(200)
  const stream = await post(`${GEMINI}:streamGenerateContent?alt=sse`, prompt)
  expect(await stream.text()).toContain("data: ")
  const codex = await post(
    "/codex/v1/responses",
    JSON.stringify({ model: "gpt-5.2-codex", input: "hello", stream: true }),
  )
  expect(await codex.text()).toContain("response.completed")
  const metrics = await (await pollux.api("/metrics")).text()
  expect(metrics).toContain("pollux_process_open_fds")

  const before = manager.received.length
  pollux.signal("SIGHUP")
  await manager.sees("READY", "1", before)
  const limits = readFileSync(`/proc/${pollux.pid}/status`, "utf8")
  expect(limits).toMatch(/^Seccomp:\s+2$/m)
  expect(limits).toMatch(/^CapEff:\s+0+$/m)
  expect(await pollux.stop()).toEqual({ code: 0, signal: null })
  await manager.sees("STOPPING", "1")
  expect(pollux.log().filter(({ level }) => level === "error")).toEqual([])
})

test("the confinement of that test bites", async () => {
  const through = await confinedBy(await printed(), folder)
  const python = (code: string) => capture([...through, Bun.which("python3") ?? "python3", "-c", code], { cwd: folder })
  expect((await python("import os; os.nice(1)")).stderr).toContain("PermissionError")
  expect((await python("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)")).stderr).toContain(
    "PermissionError",
  )
  expect((await python("import socket; socket.socket(socket.AF_INET)")).code).toBe(0)
})

test("a key comes from the service manager's credentials, and empty ones count as none", async () => {
  const credentials = join(folder, "credentials")
  mkdirSync(credentials)
  const key = freshKey()
  writeFileSync(join(credentials, "pollux_key"), `${key}\n`)
  // What SetCredential leaves where there is no file.
  for (const name of ["admin_key", "encryption_key"]) writeFileSync(join(credentials, name), "\n")
  await using pollux = await startPollux({
    config: '[basic]\nlisten_addr = "127.0.0.1"\nlisten_port = 0\n',
    env: { CREDENTIALS_DIRECTORY: credentials },
  })
  const answer = await fetch(`${pollux.url}/readyz`, { headers: { authorization: `Bearer ${key}` } })
  expect(answer.status).toBe(200)
  expect((await fetch(`${pollux.url}/readyz`)).status).toBe(401)
  expect(
    (await fetch(`${pollux.url}/codex/resource:list`, { headers: { authorization: `Bearer ${key}` } })).status,
  ).toBe(200)
})

test("print takes user, configuration and executable as they are given", async () => {
  const unit = await printed("--user", "svc", "--config", "/srv/pollux.toml")
  expect(unit).toContain("\nUser=svc\n")
  expect(unit).toContain("\nExecStart=/bin/true serve --config /srv/pollux.toml\n")
  expect(await printed("--dynamic")).toContain("\nDynamicUser=yes\n")
})

test("mistakes on the command line are named", async () => {
  const told = async (...args: readonly string[]) => {
    const { code, stderr } = await service("print", ...args)
    expect(code).toBe(64)
    return stderr
  }
  expect(await told("--user", "svc", "--dynamic")).toContain("exclude each other")
  expect(await told("--user", "Root")).toContain("--user: expected a name")
  expect(await told("--program", "/home/pollux")).toContain("install -m 755")
  expect(await told("--program", "/bin/true", "--config", "/etc/a\nUser=root")).toContain("control characters")
})

test("install puts the files of a package below a folder, and uninstall takes them away", async () => {
  const root = join(folder, "package")
  const { code, stdout } = await service("install", "--root", root, "--program", "/usr/bin/pollux")
  expect(code).toBe(0)
  const unit = join(root, "etc/systemd/system/pollux.service")
  expect(stdout).toContain(`Wrote ${unit}.`)
  expect(readFileSync(unit, "utf8")).toBe(
    await capture([await ensureBuilt(), "service", "print", "--program", "/usr/bin/pollux"], { cwd: folder }).then(
      (ran) => ran.stdout,
    ),
  )
  expect((await service("uninstall", "--root", root)).code).toBe(0)
  expect(existsSync(unit)).toBe(false)
})

test("without root it says how to go on, and does nothing", async () => {
  const user = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--clear-groups"] : []
  // Nobody may enter a test's own folder, nor perhaps the project's: the executable is put where all may.
  const program = join(mkdtempSync(join("/var/tmp", "pollux-user-")), "pollux")
  try {
    await capture(["install", "-m", "755", await ensureBuilt(), program], { cwd: folder })
    await capture(["chmod", "755", join(program, "..")], { cwd: folder })
    const ran = await capture([...user, program, "service", "install", "--program", "/bin/true"], { cwd: "/" })
    expect(ran.code).toBe(77)
    expect(ran.stderr).toContain("run it with sudo")
    expect(existsSync("/etc/systemd/system/pollux.service")).toBe(false)
  } finally {
    rmSync(join(program, ".."), { recursive: true, force: true })
  }
})
