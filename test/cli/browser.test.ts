import { describe, expect, test } from "bun:test"
import { openerOf, tunnelHint } from "../../src/cli/browser.ts"

const URL_ = "https://auth.example.com/authorize?a=1&b=2"

describe("the browser is opened", () => {
  test("by the desktop's own program", () => {
    expect(openerOf(URL_, { platform: "darwin", env: {} })).toEqual(["open", URL_])
    expect(openerOf(URL_, { platform: "linux", env: { DISPLAY: ":0" } })).toEqual(["xdg-open", URL_])
    expect(openerOf(URL_, { platform: "linux", env: { WAYLAND_DISPLAY: "wayland-0" } })).toEqual(["xdg-open", URL_])
    expect(openerOf(URL_, { platform: "win32", env: {} })).toEqual(["rundll32", "url.dll,FileProtocolHandler", URL_])
  })
  test("not without a display, and not over SSH", () => {
    expect(openerOf(URL_, { platform: "linux", env: {} })).toBeNull()
    expect(openerOf(URL_, { platform: "linux", env: { DISPLAY: "" } })).toBeNull()
    expect(openerOf(URL_, { platform: "darwin", env: { SSH_CONNECTION: "192.0.2.1 5 192.0.2.2 22" } })).toBeNull()
    expect(openerOf(URL_, { platform: "linux", env: { DISPLAY: ":10", SSH_TTY: "/dev/pts/1" } })).toBeNull()
  })
  test("for web pages only", () => {
    for (const url of ["file:///etc/passwd", "-v", "javascript:alert(1)", "calc.exe"]) {
      expect(openerOf(url, { platform: "darwin", env: {} })).toBeNull()
    }
  })
})

describe("the way back over SSH", () => {
  test("is a tunnel to the machine that was logged in to", () => {
    expect(tunnelHint("192.0.2.1 50000 192.0.2.2 22", 1455)).toBe("ssh -N -L 1455:localhost:1455 192.0.2.2")
    expect(tunnelHint("192.0.2.1 50000 2001:db8::2 2222", 8188)).toBe(
      "ssh -N -L 8188:localhost:8188 -p 2222 2001:db8::2",
    )
  })
  test("is not made of anything else", () => {
    expect(tunnelHint(undefined, 1455)).toBeNull()
    expect(tunnelHint("", 1455)).toBeNull()
    expect(tunnelHint("a b $(reboot) 22", 1455)).toBeNull()
  })
})
