/** What is put before a program's command line so that it runs as confined as a unit says: its system calls, socket families and capabilities. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { allowedCalls, valuesOf } from "./systemd.ts"

/** @param folder for the list of system calls; the caller's own */
export async function confinedBy(unit: string, folder: string): Promise<readonly string[]> {
  const list = join(folder, "system-calls")
  writeFileSync(list, (await allowedCalls(unit)).join("\n"))
  const families = valuesOf(unit, "RestrictAddressFamilies").join(" ")
  return ["python3", join(import.meta.dir, "confined.py"), list, families]
}
