-- Webhooks: endpoints of organizations and of their apps, events on their way, what became of each, and the operator's
-- announcements. Events of one entity stand in one line for each endpoint, and only the head of a line is ever sent.

CREATE TABLE webhook_endpoints (
  webhook_id    uuid PRIMARY KEY,
  org_id        uuid NOT NULL REFERENCES organizations,
  app_id        uuid,                                  -- of an app: it hears what was granted to the app
  url           text NOT NULL CHECK (url <> ''),
  event_types   text[] NOT NULL DEFAULT '{}',          -- none = all
  description   text NOT NULL DEFAULT '',
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled', 'deleted')),
  reason        text NOT NULL DEFAULT '' CHECK (reason IN ('', 'asked', 'gone', 'failing')),
  failing_since timestamptz,                           -- the first failure since something got through
  created_at    timestamptz NOT NULL,
  updated_at    timestamptz NOT NULL,
  UNIQUE (org_id, webhook_id),
  FOREIGN KEY (org_id, app_id) REFERENCES apps (org_id, app_id),
  CHECK ((state = 'disabled') = (reason <> ''))
);
CREATE INDEX webhook_endpoints_of_organization ON webhook_endpoints (org_id) WHERE state <> 'deleted';
CREATE INDEX webhook_endpoints_of_app ON webhook_endpoints (app_id) WHERE app_id IS NOT NULL AND state <> 'deleted';

CREATE FUNCTION webhook_endpoints_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'deleted' AND NEW.state <> 'deleted' THEN
    RAISE EXCEPTION 'a deleted endpoint stays deleted' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER webhook_endpoints_guard BEFORE UPDATE ON webhook_endpoints
  FOR EACH ROW EXECUTE FUNCTION webhook_endpoints_guard();

-- The newest signs, and those before it until they end. Sealed under FANGATE_WEBHOOK_KEYS: a backup signs nothing.
CREATE TABLE webhook_secrets (
  secret_id  uuid PRIMARY KEY,
  webhook_id uuid NOT NULL,
  org_id     uuid NOT NULL,
  sealed     bytea NOT NULL,
  created_at timestamptz NOT NULL,
  ends_at    timestamptz,                              -- null: until another takes its place
  FOREIGN KEY (org_id, webhook_id) REFERENCES webhook_endpoints (org_id, webhook_id)
);
CREATE UNIQUE INDEX webhook_secrets_one_newest ON webhook_secrets (webhook_id) WHERE ends_at IS NULL;
CREATE INDEX webhook_secrets_of_endpoint ON webhook_secrets (webhook_id);

-- What is sent, byte for byte the same to everybody and on every attempt. `event_id` is the header webhook-id.
CREATE TABLE webhook_events (
  event_id   uuid PRIMARY KEY,
  org_id     uuid REFERENCES organizations,            -- whose event it is; null: everybody's
  model_id   uuid,                                     -- what an app must have been granted to hear it
  type       text NOT NULL,
  entity     text NOT NULL,
  number     bigint NOT NULL,                          -- the entity's version, or the event's time: the order within the entity
  is_versioned boolean NOT NULL,                       -- an older version than one that was sent is not news
  body       text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX webhook_events_by_age ON webhook_events (created_at);

CREATE TABLE webhook_deliveries (
  delivery_id  uuid PRIMARY KEY,                       -- UUIDv7: the order of the log
  webhook_id   uuid NOT NULL REFERENCES webhook_endpoints,
  event_id     uuid NOT NULL REFERENCES webhook_events,
  entity       text NOT NULL,
  number       bigint NOT NULL,
  state        text NOT NULL CHECK (state IN ('pending', 'delivered', 'exhausted', 'superseded', 'cancelled')),
  attempts     smallint NOT NULL DEFAULT 0,            -- of the present ladder; a replay begins another
  begun_at     timestamptz,                            -- when the first byte of it may have left
  created_at   timestamptz NOT NULL,
  finished_at  timestamptz,
  UNIQUE (webhook_id, event_id),
  CHECK ((state = 'pending') = (finished_at IS NULL))
);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (webhook_id, delivery_id);
CREATE INDEX webhook_deliveries_in_line ON webhook_deliveries (webhook_id, entity, number, event_id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_begun ON webhook_deliveries (webhook_id, entity, number) WHERE begun_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);
CREATE INDEX webhook_deliveries_of_event ON webhook_deliveries (event_id);

-- One for each entity of an endpoint for which something is pending: when its head is next sent, and who is at it.
CREATE TABLE webhook_lines (
  line_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  webhook_id    uuid NOT NULL REFERENCES webhook_endpoints,
  entity        text NOT NULL,
  due_at        timestamptz NOT NULL,
  claimed_until timestamptz,
  UNIQUE (webhook_id, entity)
);
CREATE INDEX webhook_lines_due ON webhook_lines (webhook_id, due_at);
CREATE INDEX webhook_lines_claimed ON webhook_lines (webhook_id, claimed_until) WHERE claimed_until IS NOT NULL;

CREATE TABLE webhook_attempts (
  attempt_id  uuid PRIMARY KEY,                        -- UUIDv7
  delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
  at          timestamptz NOT NULL,
  duration_ms integer NOT NULL,
  status      smallint,                                -- null: no answer
  error       text NOT NULL DEFAULT ''
);
CREATE INDEX webhook_attempts_of_delivery ON webhook_attempts (delivery_id, attempt_id);

CREATE TABLE announcements (
  announcement_id uuid PRIMARY KEY,                    -- UUIDv7
  made_at         timestamptz NOT NULL,
  subject         text NOT NULL CHECK (subject IN ('terms', 'api', 'other')),
  title           text NOT NULL CHECK (title <> ''),
  body            text NOT NULL CHECK (body <> ''),
  effective_at    timestamptz,
  url             text NOT NULL DEFAULT ''
);

-- Endpoints that something may be sent to now.
CREATE VIEW live_webhook_endpoints AS
  SELECT e.webhook_id, e.org_id, e.app_id, e.event_types
    FROM webhook_endpoints e
   WHERE e.state = 'active'
     AND EXISTS (SELECT 1 FROM organizations o WHERE o.org_id = e.org_id AND o.state <> 'deleted')
     AND (e.app_id IS NULL OR EXISTS (SELECT 1 FROM apps a WHERE a.app_id = e.app_id AND a.state = 'active'));

GRANT SELECT ON live_webhook_endpoints TO auth_app;
GRANT SELECT, INSERT, UPDATE (url, event_types, description, state, reason, failing_since, updated_at) ON webhook_endpoints TO auth_app;
GRANT SELECT, INSERT, DELETE, UPDATE (sealed, ends_at) ON webhook_secrets TO auth_app;
GRANT SELECT, INSERT, DELETE ON webhook_events, webhook_attempts TO auth_app;
GRANT SELECT, INSERT, DELETE, UPDATE (state, attempts, begun_at, finished_at) ON webhook_deliveries TO auth_app;
GRANT SELECT, INSERT, DELETE, UPDATE (due_at, claimed_until) ON webhook_lines TO auth_app;
GRANT SELECT, INSERT ON announcements TO auth_app;
