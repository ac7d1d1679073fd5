/** For `bun run migrate:generate`: writes the SQL for what changed in schema.ts; then list the new file in migrate.ts. */
import { defineConfig } from "drizzle-kit"

export default defineConfig({
  dialect: "sqlite",
  schema: "./src/store/schema.ts",
  out: "./src/store/migrations",
})
