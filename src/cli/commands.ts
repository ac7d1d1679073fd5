import { check } from "./check.ts"
import { client } from "./client.ts"
import type { Command } from "./command.ts"
import { createCompletion } from "./completion.ts"
import { credentialCommands } from "./credential.ts"
import { doctor } from "./doctor.ts"
import { explain } from "./explain.ts"
import { health } from "./health.ts"
import { importCommand } from "./import.ts"
import { init } from "./init.ts"
import { keyAdd, keyList, keyRevoke } from "./key.ts"
import { keyRotate } from "./key-rotate.ts"
import { login } from "./login.ts"
import { reload } from "./reload.ts"
import { serve } from "./serve.ts"
import { serviceCommands } from "./service.ts"
import { status } from "./status.ts"
import { usage } from "./usage.ts"

/** The one table of commands: parsing, help, completion and the README follow from it. */
export const commands: readonly Command[] = [
  serve,
  init,
  check,
  login,
  importCommand,
  status,
  explain,
  ...credentialCommands,
  client,
  usage,
  reload,
  keyAdd,
  keyList,
  keyRevoke,
  keyRotate,
  doctor,
  health,
  ...serviceCommands,
  createCompletion(() => commands),
]
