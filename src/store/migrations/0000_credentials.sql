-- The two tables that the Rust project makes, for a database that it did not make. Made by hand, and safe to run on one that it did.
CREATE TABLE IF NOT EXISTS `gemini_cli` (
	`id` INTEGER PRIMARY KEY NOT NULL,
	`email` TEXT NULL,
	`sub` TEXT NOT NULL,
	`project_id` TEXT NOT NULL,
	`refresh_token` TEXT NOT NULL,
	`access_token` TEXT NULL,
	`expiry` TEXT NOT NULL,
	`status` INTEGER NOT NULL DEFAULT 1,
	`created_at` TEXT NOT NULL,
	`updated_at` TEXT NOT NULL,
	UNIQUE(`sub`, `project_id`)
);
--> statement-breakpoint
CREATE INDEX IF NOT EXISTS `idx_gemini_cli_status` ON `gemini_cli` (`status`);
--> statement-breakpoint
CREATE TABLE IF NOT EXISTS `codex` (
	`id` INTEGER PRIMARY KEY NOT NULL,
	`email` TEXT NULL,
	`sub` TEXT NOT NULL,
	`account_id` TEXT NOT NULL,
	`refresh_token` TEXT NOT NULL,
	`access_token` TEXT NOT NULL,
	`expiry` TEXT NOT NULL,
	`chatgpt_plan_type` TEXT NULL,
	`status` INTEGER NOT NULL DEFAULT 1,
	`created_at` TEXT NOT NULL,
	`updated_at` TEXT NOT NULL,
	UNIQUE(`sub`, `account_id`)
);
--> statement-breakpoint
CREATE INDEX IF NOT EXISTS `idx_codex_status` ON `codex` (`status`);
