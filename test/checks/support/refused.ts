import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { StartFailure, type StartOptions, startPollux } from "../../support/binary.ts"

/** Why Pollux did not start; a start that succeeds is the failure here. */
export async function refusal(options: StartOptions): Promise<StartFailure> {
  try {
    await using _ = await startPollux(options)
  } catch (error) {
    if (error instanceof StartFailure) return error
    throw error
  }
  throw new Error("it started")
}

/** A folder for one check, removed behind it. */
export async function inFolder(check: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pollux-check-"))
  try {
    await check(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
