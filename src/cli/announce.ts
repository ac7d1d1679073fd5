import { escapeControls } from "../observe/escape.ts"
import { EXIT } from "../observe/exit.ts"
import type { Input, Io } from "./command.ts"
import { type Reloaded, requestReload } from "./reload.ts"
import { connect, findTarget, ServerError } from "./server.ts"

/** Whether a running server has taken a change of its configuration. */
export type Announced =
  | {
      readonly kind: "reloaded"
      readonly url: string
      /** Names of the keys that differ from before. */
      readonly changed: readonly string[]
      /** Id of the key that the server's stored tokens are under. */
      readonly encryptionKeyId: string | null
    }
  /** Nothing answers: the next start takes the change. */
  | { readonly kind: "absent"; readonly why: string }
  | { readonly kind: "refused"; readonly why: string }
  /** Asked, and no answer came: it may have taken it or not. */
  | { readonly kind: "unknown"; readonly why: string }

/** Has the server that the configuration names read it again. Never throws what the server did. */
export async function announce(input: Input, io: Io): Promise<Announced> {
  let url = ""
  try {
    const server = connect(findTarget(input, io))
    url = server.url
    return told(await requestReload(server), url)
  } catch (error) {
    if (!(error instanceof ServerError)) throw error
    return classify(error, url)
  }
}

/** What a failed reload says about the server. Pure. */
export function classify(error: ServerError, url: string): Announced {
  const why = error.message.replace(/^pollux: /, "")
  if (error.status !== null) return { kind: "refused", why }
  // With a reason in brackets, the connection was there and broke.
  const nobody = url !== "" && /^no server answers at \S+: /.test(why)
  return nobody ? { kind: "absent", why: `No server answers at ${url}` } : { kind: "unknown", why }
}

function told(outcome: Reloaded, url: string): Announced {
  return outcome.ok
    ? { kind: "reloaded", url, changed: outcome.changed, encryptionKeyId: outcome.encryptionKeyId }
    : { kind: "refused", why: outcome.problems.map(escapeControls).join("\n") }
}

/**
 * Says on standard error whether a change is in force.
 * @param name of the key that was changed; a server that saw no change of it runs with another file
 * @param late what follows when it is not in force yet
 * @returns the exit code of a command that has changed the file
 */
export function report(announced: Announced, io: Pick<Io, "err">, name: string, late: string): number {
  switch (announced.kind) {
    case "reloaded":
      if (!announced.changed.includes(name)) {
        io.err(`pollux: the server at ${announced.url} has seen no change: it runs with another configuration\n`)
        return EXIT.failure
      }
      io.err(`The server at ${announced.url} has taken the change.\n`)
      return EXIT.ok
    case "absent":
      io.err(`${announced.why}: the next start takes the change.\n`)
      return EXIT.ok
    default:
      io.err(
        `pollux: the running server has not taken it: ${announced.why}\n${late}; then run \`pollux reload\`, or restart it\n`,
      )
      return EXIT.failure
  }
}
