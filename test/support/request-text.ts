/** A request as a careful client writes it; what a test wants wrong, it writes itself. */
export function requestText(
  method: string,
  target: string,
  headers: Readonly<Record<string, string | number>> = {},
  body = "",
): string {
  const all = { host: "localhost", ...(body === "" ? {} : { "content-length": Buffer.byteLength(body) }), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n${Buffer.from(body).toString("latin1")}`
}
