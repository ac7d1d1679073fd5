import { loadConfig } from "../config/load.ts"
import { EXIT } from "../observe/exit.ts"
import { CONFIG_OPTION, type Command, JSON_OPTION } from "./command.ts"

export const check: Command = {
  words: ["check"],
  summary: "check the configuration and print every problem with line and column",
  examples: [
    { line: "pollux check", says: "check ./config.toml" },
    { line: "pollux check --config new.toml && pollux reload", says: "check before a reload" },
  ],
  options: [CONFIG_OPTION, JSON_OPTION],
  exits: [EXIT.config],
  async run(input, io) {
    const loaded = loadConfig({ explicitPath: input.option("config"), env: io.env, cwd: io.cwd })
    if (input.has("json")) {
      const { ok, path } = loaded
      const report = loaded.ok
        ? { ok, path, problems: [], warnings: loaded.warnings }
        : { ok, path, problems: loaded.problems, warnings: [] }
      io.out(`${JSON.stringify(report, null, 2)}\n`)
      return ok ? EXIT.ok : EXIT.config
    }
    if (!loaded.ok) {
      for (const problem of loaded.problems) io.err(`${problem}\n`)
      return EXIT.config
    }
    for (const warning of loaded.warnings) io.err(`warning: ${warning}\n`)
    io.out(`${loaded.path} is valid.\n`)
    return EXIT.ok
  },
}
