import { until } from "../../../support/wait.ts"

/** As `until`, but looks more often at first: what happens within this process takes a few turns of its loop. */
export async function soon(what: string, probe: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (probe()) return
    await settled(1)
  }
  await until(what, probe)
}

/** Lets everything that is under way within this process happen. */
export async function settled(turns = 10): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
