import { randomBytes } from "node:crypto"
import { closeSync, constants, openSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { renderInit } from "../config/render.ts"
import { EXIT } from "../observe/exit.ts"
import { CONFIG_OPTION, type Command } from "./command.ts"

/** 32 random bytes, as they go into an Authorization header. */
const KEY_BYTES = 32

export const init: Command = {
  words: ["init"],
  summary: "write a commented config.toml with a random key",
  detail:
    "The file is readable by its owner alone. It listens on 127.0.0.1 and asks for the key before a login begins. A file that is there is left alone.",
  examples: [
    { line: "pollux init", says: "write ./config.toml" },
    { line: "pollux init --config /etc/pollux/config.toml", says: "write another file" },
  ],
  options: [CONFIG_OPTION],
  exits: [EXIT.cannotCreate],
  async run(input, io) {
    const shown = input.option("config") ?? (io.env.POLLUX_CONFIG || "config.toml")
    const text = renderInit({ key: randomBytes(KEY_BYTES).toString("base64url") })
    try {
      const file = openSync(resolve(io.cwd, shown), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
      try {
        // Not writeSync, which may write less than all of it when the disk is full.
        writeFileSync(file, text)
      } finally {
        closeSync(file)
      }
    } catch (error) {
      io.err(`pollux: ${shown}: ${reason(error)}\n`)
      return EXIT.cannotCreate
    }
    io.out(`Wrote ${shown}, with a random key. Next:\n\n`)
    const option = shown === "config.toml" ? "" : ` --config ${shown}`
    io.out(`  pollux${option}                        serve\n`)
    io.out(`  pollux login geminicli${option}        add an account (or: login codex), while it serves\n`)
    return EXIT.ok
  },
}

function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : ""
  if (code === "EEXIST") return "it is there already and stays as it is; `pollux check` looks at it"
  if (code === "ENOENT") return "its folder does not exist"
  if (code === "EACCES" || code === "EROFS") return "this user may not write there"
  return error instanceof Error ? error.message : String(error)
}
