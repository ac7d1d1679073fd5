import { EXIT } from "../observe/exit.ts"
import { CONFIG_OPTION, type Command } from "./command.ts"

export const serve: Command = {
  words: ["serve"],
  summary: "serve the pool (what `pollux` alone does)",
  detail:
    "SIGTERM and SIGINT drain: open streams finish, new requests get 503; a second signal ends at once. SIGHUP reloads the configuration.",
  examples: [
    { line: "pollux", says: "serve with ./config.toml" },
    { line: "pollux serve --config /etc/pollux/config.toml", says: "serve with another configuration" },
  ],
  options: [CONFIG_OPTION],
  exits: [
    EXIT.failure,
    EXIT.badInput,
    EXIT.unavailable,
    EXIT.software,
    EXIT.cannotCreate,
    EXIT.io,
    EXIT.inUse,
    EXIT.denied,
    EXIT.config,
    EXIT.interrupted,
    EXIT.terminated,
  ],
  // Loaded only here: the other commands start without the server.
  run: async (input, io) => (await import("./serving.ts")).serving(input.option("config"), io),
}
