CREATE TABLE `bindings` (
	`provider` text NOT NULL,
	`session` text NOT NULL,
	`credential` integer NOT NULL,
	`used_at` integer NOT NULL,
	PRIMARY KEY(`provider`, `session`)
);
--> statement-breakpoint
CREATE INDEX `idx_bindings_used` ON `bindings` (`provider`,`used_at`);--> statement-breakpoint
CREATE INDEX `idx_bindings_credential` ON `bindings` (`provider`,`credential`);--> statement-breakpoint
CREATE TABLE `cooldowns` (
	`provider` text NOT NULL,
	`credential` integer NOT NULL,
	`scope` text NOT NULL,
	`until` integer NOT NULL,
	`stated` integer NOT NULL,
	`cause` text NOT NULL,
	`strikes` integer NOT NULL,
	`quota` integer NOT NULL,
	PRIMARY KEY(`provider`, `credential`, `scope`)
);
--> statement-breakpoint
CREATE TABLE `id_floors` (
	`provider` text PRIMARY KEY NOT NULL,
	`floor` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `model_marks` (
	`provider` text NOT NULL,
	`credential` integer NOT NULL,
	`model` text NOT NULL,
	`until` integer NOT NULL,
	PRIMARY KEY(`provider`, `credential`, `model`)
);
--> statement-breakpoint
CREATE TABLE `write_probe` (
	`id` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `quotas` (
	`provider` text NOT NULL,
	`credential` integer NOT NULL,
	`family` text NOT NULL,
	`name` text NOT NULL,
	`used_percent` real NOT NULL,
	`window_minutes` integer,
	`resets_at` integer,
	`seen_at` integer NOT NULL,
	PRIMARY KEY(`provider`, `credential`, `family`, `name`)
);
--> statement-breakpoint
CREATE TABLE `refresh_intents` (
	`provider` text NOT NULL,
	`credential` integer NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`provider`, `credential`)
);
--> statement-breakpoint
CREATE TABLE `seeds` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`provider` text NOT NULL,
	`hash` text NOT NULL,
	`account` text,
	`refresh_token` text,
	`attempts` integer DEFAULT 0 NOT NULL,
	`intent_at` integer,
	`held` text,
	`outcome` text NOT NULL,
	`credential` integer,
	`reason` text,
	`detail` text,
	`url` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idx_seeds_outcome` ON `seeds` (`provider`,`outcome`,`id`);--> statement-breakpoint
CREATE INDEX `idx_seeds_updated` ON `seeds` (`provider`,`updated_at`);--> statement-breakpoint
CREATE UNIQUE INDEX `uq_seeds` ON `seeds` (`provider`,`hash`);--> statement-breakpoint
CREATE TABLE `spent_tokens` (
	`seq` integer PRIMARY KEY NOT NULL,
	`provider` text NOT NULL,
	`credential` integer NOT NULL,
	`hash` text NOT NULL,
	`spent_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `idx_spent_tokens_credential` ON `spent_tokens` (`provider`,`credential`,`seq`);--> statement-breakpoint
CREATE UNIQUE INDEX `uq_spent_tokens` ON `spent_tokens` (`provider`,`hash`);--> statement-breakpoint
CREATE TABLE `credential_states` (
	`provider` text NOT NULL,
	`credential` integer NOT NULL,
	`standing` text DEFAULT 'active' NOT NULL,
	`reason` text,
	`detail` text,
	`url` text,
	`since` integer,
	`until` integer,
	`strikes` integer DEFAULT 0 NOT NULL,
	`refresh_dead` text,
	`error_at` integer,
	`error_status` integer,
	`error_cause` text,
	`error_message` text,
	`leased_at` integer,
	`plan` text,
	`token_hash` text NOT NULL,
	`witness` text NOT NULL,
	`updated_at` integer NOT NULL,
	PRIMARY KEY(`provider`, `credential`)
);
--> statement-breakpoint
CREATE INDEX `idx_credential_states_token` ON `credential_states` (`provider`,`token_hash`);--> statement-breakpoint
CREATE TABLE `usage_rollups` (
	`grain` text NOT NULL,
	`start` integer NOT NULL,
	`provider` text NOT NULL,
	`model` text NOT NULL,
	`credential` integer NOT NULL,
	`principal` text NOT NULL,
	`requests` integer NOT NULL,
	`errors` integer NOT NULL,
	`attempts` integer NOT NULL,
	`input_tokens` integer NOT NULL,
	`output_tokens` integer NOT NULL,
	`cached_tokens` integer NOT NULL,
	`reasoning_tokens` integer NOT NULL,
	PRIMARY KEY(`grain`, `start`, `provider`, `model`, `credential`, `principal`)
);
