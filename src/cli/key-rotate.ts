import { randomBytes } from "node:crypto"
import { parse } from "smol-toml"
import { removeValue, setValue } from "../config/edit.ts"
import { EXIT } from "../observe/exit.ts"
import { keyId } from "../store/cipher.ts"
import { type Announced, announce } from "./announce.ts"
import { type Command, type Input, type Io, SERVER_OPTIONS } from "./command.ts"
import { type ConfigFile, openConfigFile, replaceConfigFile } from "./config-file.ts"
import { explained } from "./key.ts"
import { SERVER_EXITS } from "./server.ts"

const KEY = "basic.encryption_key"
const PREVIOUS = "basic.previous_encryption_keys"

export const keyRotate: Command = {
  words: ["key", "rotate"],
  summary: "replace the key that stored tokens are encrypted with",
  detail:
    "The order makes it safe to be cut off anywhere: the file gets a new encryption_key and keeps the old one in previous_encryption_keys, so that either opens the database; the running server then brings every stored token under the new key, in one transaction; last the old key leaves the file. Without a running server the next start does the second step, and the old key stays in the file until --finish. Keep a copy of the new key apart from the database: without it the tokens are lost.",
  examples: [
    { line: "pollux key rotate", says: "a new key, used at once by the running server" },
    { line: "pollux key rotate --enable", says: "begin to encrypt the tokens of a plain database" },
    {
      line: "pollux key rotate --finish",
      says: "take old keys out of the file once a server has started with the new one",
    },
  ],
  options: [
    { name: "enable", summary: "begin to encrypt; the Rust project can then no longer read the database" },
    { name: "finish", summary: "only take old keys out of the file, if the running server no longer needs them" },
    ...SERVER_OPTIONS,
  ],
  exits: [...SERVER_EXITS, EXIT.noInput, EXIT.cannotCreate, EXIT.inUse],
  run: (input, io) =>
    explained(io, () => {
      const file = openConfigFile(input.option("config"), io)
      return input.has("finish") ? finish(file, input, io) : rotate(file, input, io)
    }),
}

async function rotate(file: ConfigFile, input: Input, io: Io): Promise<number> {
  const { encryptionKey: old, previousEncryptionKeys: earlier } = file.config.basic
  if (old === null && !input.has("enable")) {
    io.err(
      "pollux: tokens are stored plain: encryption_key is not set; `pollux key rotate --enable` begins to encrypt\n",
    )
    return EXIT.config
  }
  if (old !== null && !holdsKey(file.text)) {
    for (const line of BY_HAND) io.err(`${line}\n`)
    return EXIT.config
  }
  if (file.shared) {
    io.err(`pollux: ${file.shown} stays as it is: ${SHARED.join("\n")}\n`)
    return EXIT.config
  }
  const key = randomBytes(32).toString("hex")
  const previous = [...new Set([...earlier, ...(old === null ? [] : [old])])]
  const withOld = previous.length === 0 ? file.text : setValue(file.text, "basic", "previous_encryption_keys", previous)
  const text = withOld === null ? null : setValue(withOld, "basic", "encryption_key", key)
  const both = replaceConfigFile(file, text, [KEY, PREVIOUS], io)
  const announced = await announce(input, io)

  if (announced.kind === "reloaded" && announced.encryptionKeyId === keyId(key)) {
    dropPrevious(both, io)
    io.out(
      `The server at ${announced.url} has every stored token under the new key, and ${file.shown} has only that one.\n`,
    )
    return EXIT.ok
  }
  return unfinished(announced, both, file, io)
}

/** The new key is in the file and no server has said that it uses it. */
function unfinished(announced: Announced, both: ConfigFile, before: ConfigFile, io: Io): number {
  if (announced.kind === "reloaded") {
    // It read another file, so nothing has happened to the database of this one.
    replaceConfigFile(both, before.text, [KEY, PREVIOUS], io)
    io.err(`pollux: the server at ${announced.url} runs with another configuration; ${before.shown} is as it was\n`)
    return EXIT.config
  }
  if (announced.kind === "absent") {
    io.out(
      `${announced.why}. ${before.shown} has the new key; the next start brings every token under it. Run \`pollux key rotate --finish\` after that.\n`,
    )
    return EXIT.ok
  }
  io.err(`pollux: the running server has not said that it uses the new key: ${announced.why}\n`)
  io.err(
    `${before.shown} holds the new key and the old one, so that every start works. When the problem is solved: pollux reload && pollux key rotate --finish\n`,
  )
  return EXIT.failure
}

/** Old keys may go when the running server says that every stored token is under the file's own key. */
async function finish(file: ConfigFile, input: Input, io: Io): Promise<number> {
  if (file.config.basic.previousEncryptionKeys.length === 0) {
    io.out(`${file.shown} holds no old keys.\n`)
    return EXIT.ok
  }
  const announced = await announce(input, io)
  if (announced.kind !== "reloaded") {
    io.err(
      `pollux: ${announced.why}\nOnly a running server can tell that it needs no old key; start it with this file first.\n`,
    )
    return announced.kind === "refused" ? EXIT.failure : EXIT.unavailable
  }
  if (announced.encryptionKeyId !== keyId(file.config.basic.encryptionKey)) {
    io.err(`pollux: the server at ${announced.url} runs with another configuration; ${file.shown} is as it was\n`)
    return EXIT.config
  }
  dropPrevious(file, io)
  io.out(`${file.shown} has only the key in use.\n`)
  return EXIT.ok
}

function dropPrevious(file: ConfigFile, io: Io): void {
  replaceConfigFile(file, removeValue(file.text, ["basic", "previous_encryption_keys"]), [PREVIOUS], io)
}

/** Whether the file itself sets the key; otherwise it comes from the environment or the service manager. */
function holdsKey(text: string): boolean {
  const { basic } = parse(text)
  return typeof basic === "object" && "encryption_key" in basic && basic.encryption_key !== ""
}

const BY_HAND = [
  "pollux: the encryption key comes from POLLUX_ENCRYPTION_KEY or $CREDENTIALS_DIRECTORY, which this command cannot change. By hand:",
  "  1. make a new one: openssl rand -hex 32",
  '  2. put the old one into the configuration: [basic] previous_encryption_keys = ["OLD"]',
  "  3. put the new one in the place of the old one in the environment or the credential",
  "  4. restart the server: it brings every stored token under the new key",
  "  5. take previous_encryption_keys out again",
]

/** With a key in it the file would have to be its owner's alone, and a server of another user could not start any more. */
const SHARED = [
  "no key is in it and all users may read it, which the server's own may need. Give it the key from outside:",
  "  1. make one where the server finds it: openssl rand -hex 32, as POLLUX_ENCRYPTION_KEY or as the file encryption_key in its $CREDENTIALS_DIRECTORY (for the service: beside the configuration, mode 0600)",
  "  2. restart the server: it brings every stored token under the key",
  "Or make the file its server's alone first (chown, chmod 600), and run this again.",
]
