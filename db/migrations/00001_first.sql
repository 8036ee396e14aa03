-- +goose Up

-- What the instance knows about itself: salt (of its ids), and the like.
CREATE TABLE meta (
	name  TEXT NOT NULL PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
	id            INTEGER PRIMARY KEY,
	email         TEXT NOT NULL COLLATE NOCASE UNIQUE,
	name          TEXT NOT NULL,
	password_hash TEXT NOT NULL,
	administrator INTEGER NOT NULL DEFAULT 0 CHECK (administrator IN (0, 1)),
	created_at    INTEGER NOT NULL,
	signed_in_at  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Sessions of the dashboard; the cookie holds the id, the table its hash.
CREATE TABLE sessions (
	hash       BLOB NOT NULL PRIMARY KEY,
	account_id INTEGER REFERENCES accounts(id) ON DELETE CASCADE,
	data       TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Sign-out everywhere and foreign keys.
CREATE INDEX sessions_account ON sessions (account_id);
-- Pruning of what has expired.
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE tokens (
	hash       BLOB NOT NULL PRIMARY KEY,
	account_id INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_account ON tokens (account_id);

CREATE TABLE organizations (
	id         INTEGER PRIMARY KEY,
	slug       TEXT NOT NULL UNIQUE,
	uuid       TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
	organization_id INTEGER NOT NULL REFERENCES organizations(id) ON DELETE CASCADE,
	account_id      INTEGER NOT NULL REFERENCES accounts(id) ON DELETE CASCADE,
	role            TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'admin', 'owner')),
	added_at        INTEGER NOT NULL,
	PRIMARY KEY (organization_id, account_id)
) STRICT, WITHOUT ROWID;
-- The organizations of an account.
CREATE INDEX members_account ON members (account_id);

-- Deleted softly: what belongs to it is pruned in small steps.
CREATE TABLE projects (
	id              INTEGER PRIMARY KEY AUTOINCREMENT,
	organization_id INTEGER NOT NULL REFERENCES organizations(id),
	slug            TEXT NOT NULL,
	uuid            TEXT NOT NULL UNIQUE,
	name            TEXT NOT NULL,
	auto_register   INTEGER NOT NULL DEFAULT 1 CHECK (auto_register IN (0, 1)),
	-- Rises with each change of webhooks, profiles and devices that matching depends on.
	version         INTEGER NOT NULL DEFAULT 1,
	created_at      INTEGER NOT NULL,
	updated_at      INTEGER NOT NULL,
	deleted_at      INTEGER NOT NULL DEFAULT 0
) STRICT;
-- A project by its slug; the slug of a deleted one is free.
CREATE UNIQUE INDEX projects_slug ON projects (slug) WHERE deleted_at = 0;
CREATE INDEX projects_organization ON projects (organization_id);

CREATE TABLE profiles (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	project_id INTEGER NOT NULL REFERENCES projects(id),
	slug       TEXT NOT NULL,
	uuid       TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	webhook    INTEGER NOT NULL DEFAULT 1 CHECK (webhook IN (0, 1)),
	write      INTEGER NOT NULL DEFAULT 1 CHECK (write IN (0, 1)),
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	UNIQUE (project_id, slug)
) STRICT;

CREATE TABLE devices (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	project_id   INTEGER NOT NULL REFERENCES projects(id),
	profile_id   INTEGER NOT NULL REFERENCES profiles(id),
	slug         TEXT NOT NULL,
	uuid         TEXT NOT NULL,
	name         TEXT NOT NULL,
	dev_eui      TEXT NOT NULL DEFAULT '',
	join_eui     TEXT NOT NULL DEFAULT '',
	dev_addr     TEXT NOT NULL DEFAULT '',
	key_hash     BLOB NOT NULL,
	key_sealed   BLOB NOT NULL,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	last_seen_at INTEGER NOT NULL DEFAULT 0,
	deleted_at   INTEGER NOT NULL DEFAULT 0
) STRICT;
-- A device by slug or UUID, and the list of a project's devices by slug.
CREATE UNIQUE INDEX devices_slug ON devices (project_id, slug) WHERE deleted_at = 0;
CREATE UNIQUE INDEX devices_uuid ON devices (project_id, uuid) WHERE deleted_at = 0;
-- A device by its key.
CREATE UNIQUE INDEX devices_key ON devices (key_hash) WHERE deleted_at = 0;
-- The devices of a profile, before it is deleted.
CREATE INDEX devices_profile ON devices (profile_id) WHERE deleted_at = 0;

CREATE TABLE webhooks (
	id                   INTEGER PRIMARY KEY AUTOINCREMENT,
	project_id           INTEGER NOT NULL REFERENCES projects(id),
	version              INTEGER NOT NULL DEFAULT 1,
	slug                 TEXT NOT NULL,
	uuid                 TEXT NOT NULL UNIQUE,
	description          TEXT NOT NULL,
	url                  TEXT NOT NULL,
	message_types        TEXT NOT NULL, -- JSON: {type: {path}}
	channel              TEXT NOT NULL,
	payload_only         INTEGER NOT NULL CHECK (payload_only IN (0, 1)),
	headers              BLOB NOT NULL, -- JSON: [{name, value, secret}], sealed
	format               TEXT NOT NULL CHECK (format IN ('envelope', 'json', 'protobuf')),
	field_mask           TEXT NOT NULL, -- JSON: [path]
	device_id            INTEGER NOT NULL DEFAULT 0,
	template             TEXT NOT NULL DEFAULT '',
	downlink_key         BLOB NOT NULL, -- sealed
	signed               INTEGER NOT NULL CHECK (signed IN (0, 1)),
	signing_secrets      BLOB NOT NULL, -- JSON: [secret], sealed
	old_secret_until     INTEGER NOT NULL DEFAULT 0,
	settings             TEXT NOT NULL, -- JSON
	paused               INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
	paused_by            TEXT NOT NULL DEFAULT '',
	paused_reason        TEXT NOT NULL DEFAULT '',
	paused_at            INTEGER NOT NULL DEFAULT 0,
	health               TEXT NOT NULL DEFAULT 'unknown' CHECK (health IN ('unknown', 'healthy', 'failing')),
	consecutive_failures INTEGER NOT NULL DEFAULT 0,
	last_error           TEXT NOT NULL DEFAULT '',
	health_since         INTEGER NOT NULL DEFAULT 0,
	created_at           INTEGER NOT NULL,
	updated_at           INTEGER NOT NULL,
	deleted_at           INTEGER NOT NULL DEFAULT 0
) STRICT;
-- A webhook by its slug, and the webhooks of a project.
CREATE UNIQUE INDEX webhooks_slug ON webhooks (project_id, slug) WHERE deleted_at = 0;

-- made = delivered + pending + failed + skipped + cancelled, always. Kept in the
-- transactions that change deliveries, so that retention does not change it.
CREATE TABLE webhook_counters (
	webhook_id INTEGER NOT NULL PRIMARY KEY,
	made       INTEGER NOT NULL DEFAULT 0,
	pending    INTEGER NOT NULL DEFAULT 0,
	delivered  INTEGER NOT NULL DEFAULT 0,
	failed     INTEGER NOT NULL DEFAULT 0,
	skipped    INTEGER NOT NULL DEFAULT 0,
	cancelled  INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What happened in each hour (hour_at in Unix milliseconds), for charts.
CREATE TABLE webhook_hours (
	webhook_id INTEGER NOT NULL,
	hour_at    INTEGER NOT NULL,
	delivered  INTEGER NOT NULL DEFAULT 0,
	failed     INTEGER NOT NULL DEFAULT 0,
	retried    INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (webhook_id, hour_at)
) STRICT, WITHOUT ROWID;

-- How long delivered attempts took: counts by hour and bucket; see db.DurationBucket.
CREATE TABLE webhook_durations (
	webhook_id INTEGER NOT NULL,
	hour_at    INTEGER NOT NULL,
	bucket     INTEGER NOT NULL,
	count      INTEGER NOT NULL,
	PRIMARY KEY (webhook_id, hour_at, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE project_hours (
	project_id INTEGER NOT NULL,
	hour_at    INTEGER NOT NULL,
	messages   INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (project_id, hour_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
	id         TEXT NOT NULL PRIMARY KEY, -- the part between the dots
	project_id INTEGER NOT NULL REFERENCES projects(id),
	name       TEXT NOT NULL,
	rights     TEXT NOT NULL, -- names, comma-separated
	hash       BLOB NOT NULL,
	created_at INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	expires_at INTEGER NOT NULL DEFAULT 0,
	used_at    INTEGER NOT NULL DEFAULT 0,
	deleted_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
-- The keys of a project.
CREATE INDEX api_keys_project ON api_keys (project_id) WHERE deleted_at = 0;

CREATE TABLE audit (
	id              INTEGER PRIMARY KEY,
	organization_id INTEGER NOT NULL DEFAULT 0,
	project_id      INTEGER NOT NULL DEFAULT 0,
	actor           TEXT NOT NULL,
	action          TEXT NOT NULL,
	subject         TEXT NOT NULL,
	detail          TEXT NOT NULL
) STRICT;
-- The audit log of a project, newest first.
CREATE INDEX audit_project ON audit (project_id, id);

-- Messages and deliveries have no foreign keys: they are the hot tables, and
-- pruned apart from what they name.
CREATE TABLE messages (
	id          INTEGER PRIMARY KEY,
	project_id  INTEGER NOT NULL,
	device_id   INTEGER NOT NULL,
	type        TEXT NOT NULL,
	channel     TEXT NOT NULL,
	sender_id   TEXT,
	fields      BLOB,
	payload     BLOB NOT NULL,
	received_at INTEGER NOT NULL,
	transient   INTEGER NOT NULL
) STRICT;
-- The messages of a project and of a device, newest first.
CREATE INDEX messages_project ON messages (project_id, id);
CREATE INDEX messages_device ON messages (device_id, id);
-- A sender's repeated id.
CREATE INDEX messages_sender ON messages (device_id, sender_id) WHERE sender_id IS NOT NULL;

-- Clustered by project, so that the log of a project is the table itself.
CREATE TABLE deliveries (
	project_id    INTEGER NOT NULL,
	id            INTEGER NOT NULL,
	message_id    INTEGER NOT NULL,
	webhook_id    INTEGER NOT NULL,
	device_id     INTEGER NOT NULL,
	type          TEXT NOT NULL,
	channel       TEXT NOT NULL,
	status        TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'skipped', 'cancelled')),
	trigger       TEXT NOT NULL CHECK (trigger IN ('message', 'retry', 'replay', 'test')),
	in_order      INTEGER NOT NULL,
	size_bytes    INTEGER NOT NULL,
	due_at        INTEGER NOT NULL,
	created_at    INTEGER NOT NULL,
	attempt_count INTEGER NOT NULL DEFAULT 0,
	code          INTEGER NOT NULL DEFAULT 0,
	error         TEXT,
	error_detail  TEXT,
	duration_ms   INTEGER NOT NULL DEFAULT 0,
	ended_at      INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (project_id, id)
) STRICT, WITHOUT ROWID;
-- The log of a webhook and of a device, newest first.
CREATE INDEX deliveries_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_device ON deliveries (device_id, id);
-- The deliveries of a message.
CREATE INDEX deliveries_message ON deliveries (message_id);
-- What is due next; the query must say status = 'pending' in just these words.
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at) WHERE status = 'pending';
-- The first pending delivery of each device, for webhooks in order per device.
CREATE INDEX deliveries_in_order ON deliveries (webhook_id, device_id, id) WHERE status = 'pending' AND in_order = 1;
-- The log of what failed or is being retried.
CREATE INDEX deliveries_error ON deliveries (project_id, id) WHERE error IS NOT NULL;

CREATE TABLE attempts (
	delivery_id      INTEGER NOT NULL,
	number           INTEGER NOT NULL,
	at               INTEGER NOT NULL,
	duration_ms      INTEGER NOT NULL,
	timings          TEXT NOT NULL, -- microseconds: dns,connect,tls,first byte,total
	request          TEXT NOT NULL, -- method and URL, then a header a line; secrets masked
	code             INTEGER NOT NULL,
	response_headers TEXT NOT NULL, -- a header a line
	response_body    BLOB,
	truncated        INTEGER NOT NULL,
	error            TEXT,
	error_detail     TEXT,
	PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
