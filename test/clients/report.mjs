/**
 * Runs the scenarios of one real client and prints one JSON object: scenario name to result, or to `{ error }` with what the client
 * makes of a failure. The clients come from the module that `pollux client` makes (`CLIENT_MODULE`, a file URL), which takes the key
 * from `POLLUX_KEY`.
 */
const module = required("CLIENT_MODULE")

/** The snippet's clients. */
export const clients = await import(module)

/** The same once more, with a key that Pollux does not know. */
export async function clientsWithWrongKey() {
  const key = required("POLLUX_KEY")
  process.env.POLLUX_KEY = "wrong-key"
  try {
    return await import(`${module}?wrong`)
  } finally {
    process.env.POLLUX_KEY = key
  }
}

/** @param {Record<string, () => Promise<unknown>>} scenarios names given as arguments are run, or all */
export async function report(scenarios) {
  const chosen = process.argv.slice(2)
  const results = {}
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue
    try {
      results[name] = await scenario()
    } catch (error) {
      results[name] = { error: describe(error) }
    }
  }
  // Not process.exit: a pipe may not have taken everything yet, and a client that keeps the process alive is a finding.
  process.stdout.write(JSON.stringify(results))
}

/** What the scenario throws, or null. */
export async function failure(action) {
  try {
    await action()
    return null
  } catch (error) {
    return describe(error)
  }
}

export async function collect(stream) {
  const items = []
  for await (const item of stream) items.push(item)
  return items
}

function describe(error) {
  const cause = error?.lastError ?? error
  return {
    name: cause?.constructor?.name ?? typeof cause,
    status: cause?.status ?? cause?.statusCode ?? null,
    code: cause?.code ?? null,
    message: String(cause?.message ?? cause),
    body: cause?.responseBody ?? null,
  }
}

function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}
