-- Plans, who subscribes to which, and what payment providers said. Plain rows: the ledger alone holds credits.

CREATE TABLE billing.plans(
  code text PRIMARY KEY,
  version int NOT NULL DEFAULT 1,
  monthly_credits bigint NOT NULL CHECK (monthly_credits >= 0),
  rpm int NOT NULL CHECK (rpm > 0),      -- calls a minute, per organization
  rpd int NOT NULL CHECK (rpd > 0),      -- calls a UTC day, per organization
  price_ref text                         -- the provider's price; NULL: not for sale
);
INSERT INTO billing.plans(code, monthly_credits, rpm, rpd) VALUES
  ('free', 100, 10, 50000),
  ('basic', 1000, 60, 50000),
  ('pro', 5000, 300, 50000),
  ('scale', 100000, 1000, 50000),
  ('enterprise', 1000000, 9999, 1000000);

CREATE TABLE billing.subscriptions(
  org_id uuid PRIMARY KEY REFERENCES billing.orgs,
  plan text NOT NULL REFERENCES billing.plans,
  plan_version int NOT NULL,
  status text NOT NULL CHECK (status IN ('active', 'past_due', 'cancelled')),
  period_start timestamptz NOT NULL,
  period_end timestamptz NOT NULL CHECK (period_end > period_start),
  anchor_day smallint NOT NULL CHECK (anchor_day BETWEEN 1 AND 31),   -- kept, with month clamp
  next_plan text REFERENCES billing.plans,
  provider text,
  provider_ref text
);

CREATE TABLE billing.payments(
  id uuid PRIMARY KEY,
  org_id uuid NOT NULL REFERENCES billing.orgs,
  kind text NOT NULL,
  amount_minor bigint NOT NULL,
  currency text NOT NULL,
  provider text NOT NULL,
  provider_ref text NOT NULL UNIQUE,
  status text NOT NULL
);
CREATE TABLE billing.provider_events(
  provider text, event_id text, type text NOT NULL, created timestamptz NOT NULL, raw bytea NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(), processed_at timestamptz, attempts int NOT NULL DEFAULT 0, error text,
  PRIMARY KEY (provider, event_id)
);

-- Which warnings of a low balance were given: each once per period.
CREATE TABLE billing.low_warnings(
  org_id uuid REFERENCES billing.orgs, period_start timestamptz, percent smallint,
  PRIMARY KEY (org_id, period_start, percent)
);

GRANT SELECT ON billing.plans, billing.subscriptions, billing.payments, billing.provider_events, billing.low_warnings
  TO billing_app, billing_read;
GRANT INSERT, UPDATE ON billing.plans, billing.subscriptions, billing.payments, billing.provider_events TO billing_app;
GRANT INSERT ON billing.low_warnings TO billing_app;
