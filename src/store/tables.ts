import { Bindings } from "./bindings.ts"
import type { Vault } from "./cipher.ts"
import { Conditions } from "./conditions.ts"
import type { Connection } from "./connection.ts"
import { Credentials } from "./credentials.ts"
import type { Descriptor } from "./schema.ts"
import { Seeds } from "./seeds.ts"
import { SpentTokens } from "./spent.ts"
import { States } from "./states.ts"

/** All that is stored for one provider. */
export interface Tables {
  readonly credentials: Credentials
  readonly states: States
  readonly conditions: Conditions
  readonly spent: SpentTokens
  readonly seeds: Seeds
  readonly bindings: Bindings
}

export const createTables = (connection: Connection, descriptor: Descriptor, vault: Vault): Tables => ({
  credentials: new Credentials(connection, descriptor, vault),
  states: new States(connection, descriptor.provider),
  conditions: new Conditions(connection, descriptor.provider),
  spent: new SpentTokens(connection, descriptor.provider),
  seeds: new Seeds(connection, descriptor, vault),
  bindings: new Bindings(connection, descriptor.provider),
})
