import manifest from "../../package.json"

declare const POLLUX_REVISION: string | undefined

/** From package.json; the build adds the git revision. */
export const VERSION: string =
  typeof POLLUX_REVISION === "string" ? `${manifest.version}+${POLLUX_REVISION}` : manifest.version
