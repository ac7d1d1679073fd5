/**
 * Asks the server how it is, on a connection of its own: what is asked is whether new clients get in.
 * @param server address without a slash at the end
 * @param key sent where it is given
 * @throws what fetch throws when nothing answers, or `signal` ends it
 */
export async function probe(
  server: string,
  path: "/healthz" | "/readyz",
  signal: AbortSignal,
  key: string | null = null,
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${server}${path}`, {
    signal,
    headers: { connection: "close", ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
    redirect: "manual",
    keepalive: false,
    // The environment's proxy is not for this machine.
    proxy: false,
  })
  return { status: response.status, text: await response.text() }
}
