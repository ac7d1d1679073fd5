/** Opens web pages in the person's own browser. */

export interface Desktop {
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * The program that opens `url`, or null where there is no browser: over SSH, or without a display. Pure.
 * The address is one argument and no shell reads it.
 */
export function openerOf(url: string, { platform, env }: Desktop): readonly string[] | null {
  if (!/^https?:\/\//i.test(url)) return null
  if (overSsh(env)) return null
  if (platform === "darwin") return ["open", url]
  if (platform === "win32") return ["rundll32", "url.dll,FileProtocolHandler", url]
  const display = [env.DISPLAY, env.WAYLAND_DISPLAY, env.BROWSER].some((value) => (value ?? "") !== "")
  return display ? ["xdg-open", url] : null
}

export function overSsh(env: Desktop["env"]): boolean {
  return (env.SSH_CONNECTION ?? "") !== "" || (env.SSH_TTY ?? "") !== ""
}

/** Starts the opener without waiting for it; whether it could be started. */
export function openBrowser(url: string, desktop: Desktop): boolean {
  const command = openerOf(url, desktop)
  if (command === null) return false
  try {
    const child = Bun.spawn([...command], {
      env: { ...desktop.env },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    })
    // A browser that it starts stays when this program ends.
    child.unref()
    return true
  } catch {
    return false
  }
}

/**
 * The command by which the browser of a person who is here over SSH reaches `port` of this machine, or null. Pure.
 * @param connection `$SSH_CONNECTION`: client address and port, server address and port (ssh(1), ENVIRONMENT)
 */
export function tunnelHint(connection: string | undefined, port: number): string | null {
  const [, , address, sshPort] = connection?.split(" ") ?? []
  if (address === undefined || !/^[\w.:%-]+$/.test(address)) return null
  const other = sshPort !== undefined && /^\d+$/.test(sshPort) && sshPort !== "22" ? `-p ${sshPort} ` : ""
  return `ssh -N -L ${port}:localhost:${port} ${other}${address}`
}
