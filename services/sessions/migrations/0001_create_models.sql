-- Models, the vault with their sealed secrets, and the fence of writes to platforms. Every row carries its organization.

CREATE TABLE models (
  model_id         uuid PRIMARY KEY,
  org_id           uuid NOT NULL,
  provider         text NOT NULL CHECK (provider <> ''),
  label            text NOT NULL CHECK (label <> ''),
  account          text,                      -- the platform's number of the account, once signed in
  state            text NOT NULL CHECK (state IN ('connecting', 'awaiting_2fa', 'connected', 'refreshing', 'sync_lost',
                                                  'connect_failed', 'disconnected', 'deleted')),
  reason           text NOT NULL DEFAULT '',
  version          bigint NOT NULL DEFAULT 1 CHECK (version > 0),
  session_number   bigint NOT NULL DEFAULT 0 CHECK (session_number >= 0),
  session_ends_at  timestamptz,
  refresh_due_at   timestamptz,
  claimed_until    timestamptz,               -- a refresh is enqueued; others leave it alone until then
  refresh_failures integer NOT NULL DEFAULT 0 CHECK (refresh_failures >= 0),
  was_connected    boolean NOT NULL DEFAULT false,
  created_at       timestamptz NOT NULL DEFAULT now(),
  updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (org_id, model_id)
);
CREATE UNIQUE INDEX models_label_once ON models (org_id, provider, label) WHERE state <> 'deleted';
CREATE UNIQUE INDEX models_account_once ON models (org_id, provider, account)
  WHERE account IS NOT NULL AND state NOT IN ('deleted', 'disconnected', 'connect_failed');
CREATE INDEX models_refresh_due ON models (refresh_due_at) WHERE state = 'connected' AND refresh_due_at IS NOT NULL;
CREATE INDEX models_stuck ON models (updated_at) WHERE state IN ('connecting', 'refreshing');
CREATE INDEX models_updated ON models (updated_at);

-- Sealed values only (services/sessions/domain/vault.py); a column per secret, because the seal is bound to its column.
CREATE TABLE vault (
  model_id    uuid PRIMARY KEY,
  org_id      uuid NOT NULL,
  credentials bytea,
  session     bytea,
  pending     bytea,
  FOREIGN KEY (org_id, model_id) REFERENCES models (org_id, model_id)
);

-- A write that must never run twice: the row is committed before the first byte leaves (docs/architecture.md, "The bus").
CREATE TABLE upstream_calls (
  call_id     uuid PRIMARY KEY,
  org_id      uuid NOT NULL,
  model_id    uuid NOT NULL,
  route       text NOT NULL,
  state       text NOT NULL CHECK (state IN ('started', 'finished', 'unknown')),
  outcome     jsonb,
  body        bytea,
  started_at  timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  CHECK ((state = 'finished') = (outcome IS NOT NULL))
);
CREATE INDEX upstream_calls_started ON upstream_calls (started_at) WHERE state = 'started';
CREATE INDEX upstream_calls_bodies ON upstream_calls (started_at) WHERE body IS NOT NULL;
CREATE INDEX upstream_calls_age ON upstream_calls (started_at);

GRANT SELECT, INSERT, UPDATE ON models, vault TO sessions_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON upstream_calls TO sessions_app;
