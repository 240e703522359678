-- Batches and their money, URLs with their dedupe key, and what happened to each URL.

-- `id` is also the id of the batch's lease and of its debit: every step of a submission can be repeated without a second effect.
CREATE TABLE batches (
  id         uuid PRIMARY KEY,
  org_id     uuid NOT NULL,
  key_id     uuid,
  is_sandbox boolean NOT NULL DEFAULT false,
  notes      text,                               -- of the organization; never leaves it
  status     text NOT NULL CHECK (status IN ('leasing', 'accepted', 'partial', 'failed')),
  required   integer NOT NULL CHECK (required >= 0),  -- credits of its lease
  url_count  integer NOT NULL DEFAULT 0,
  new        integer NOT NULL DEFAULT 0,
  duplicate  integer NOT NULL DEFAULT 0,
  invalid    integer NOT NULL DEFAULT 0,
  failed     integer NOT NULL DEFAULT 0,
  debited    integer NOT NULL DEFAULT 0,
  refunded   integer NOT NULL DEFAULT 0,         -- of the debit, whether or not the refund was sent already
  reply      jsonb,                              -- what the caller was told, for 24 hours: the answer to the same message again
  created_at timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz,
  CHECK (status = 'leasing' OR settled_at IS NOT NULL),
  CHECK (debited <= required AND refunded <= debited)
) WITH (fillfactor = 80);
CREATE INDEX batches_listed ON batches (org_id, id);
CREATE INDEX batches_leasing ON batches (created_at) WHERE status = 'leasing';
CREATE INDEX batches_replies ON batches (settled_at) WHERE reply IS NOT NULL;

-- Why URLs of a batch were not taken: how many by reason, with up to 20 samples each.
CREATE TABLE batch_invalid (
  batch_id uuid NOT NULL REFERENCES batches ON DELETE CASCADE,
  reason   text NOT NULL,
  n        integer NOT NULL,
  samples  text[] NOT NULL,
  PRIMARY KEY (batch_id, reason)
);

-- Refunds of a batch gather in its open row for a while: one ledger line for many URLs. `id` is the refund's id.
CREATE TABLE batch_refunds (
  id        uuid PRIMARY KEY,
  batch_id  uuid NOT NULL REFERENCES batches,
  amount    integer NOT NULL CHECK (amount > 0),
  opened_at timestamptz NOT NULL DEFAULT now(),
  sent_at   timestamptz
);
CREATE UNIQUE INDEX batch_refunds_open_once ON batch_refunds (batch_id) WHERE sent_at IS NULL;
CREATE INDEX batch_refunds_open ON batch_refunds (opened_at) WHERE sent_at IS NULL;

-- One row per creator and URL, for ever: a URL that comes again finds it. Narrow on purpose; history is in the tables below.
-- Foreign keys to creators, hosts and batches are left out: 10,000 rows are inserted at once, under the lock of their creators
-- and their batch. States: services/takedowns/domain/states.py. No index on state: its changes stay HOT.
CREATE TABLE urls (
  creator_id      bigint NOT NULL,
  id              uuid NOT NULL,                 -- UUIDv7 of the application
  url_key         bytea NOT NULL CHECK (octet_length(url_key) = 16),  -- services/takedowns/domain/url.py
  url             text NOT NULL,                 -- what notices and checks use: as the browser would, of the first submission
  host_id         integer NOT NULL,
  batch_id        uuid NOT NULL,                 -- the one that paid for it last
  state           smallint NOT NULL DEFAULT 1,
  stage           smallint NOT NULL DEFAULT 0,   -- of escalation: 0 site, 1 hosting, 2 registrar, 3 search
  attempt         smallint NOT NULL DEFAULT 0,   -- how often it began anew: resubmitted after a refund, or back after removal
  category        smallint NOT NULL DEFAULT 0,   -- 0 copyright, 1 ncii
  first_notice_at timestamptz,
  removed_at      timestamptz,
  refunded_at     timestamptz,
  next_action_at  timestamptz,                   -- when its timer is due; NULL: nothing to do
  PRIMARY KEY (creator_id, id),
  UNIQUE (creator_id, url_key)
) PARTITION BY HASH (creator_id);

DO $$
BEGIN
  FOR part IN 0..15 LOOP
    EXECUTE format('CREATE TABLE urls_%s PARTITION OF urls FOR VALUES WITH (MODULUS 16, REMAINDER %s)
      WITH (fillfactor = 90, autovacuum_vacuum_insert_scale_factor = 0.02)', lpad(part::text, 2, '0'), part);
  END LOOP;
END $$;
CREATE INDEX urls_batch ON urls (batch_id);
CREATE INDEX urls_due ON urls (next_action_at) WHERE next_action_at IS NOT NULL;

-- The timeline of a URL. Its first entry, the submission, is the batch itself.
CREATE TABLE url_events (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  creator_id bigint NOT NULL,
  url_id     uuid NOT NULL,
  from_state smallint NOT NULL,
  to_state   smallint NOT NULL,
  reason     text NOT NULL DEFAULT '',
  at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX url_events_of ON url_events (creator_id, url_id, id);

GRANT SELECT, INSERT, UPDATE, DELETE ON batches TO takedowns_app;  -- a refused batch leaves no row
GRANT SELECT, INSERT ON batch_invalid TO takedowns_app;
GRANT SELECT, INSERT, UPDATE ON batch_refunds, urls TO takedowns_app;
GRANT SELECT, INSERT ON url_events TO takedowns_app;
GRANT SELECT ON batches, batch_invalid, batch_refunds, urls, url_events TO takedowns_read;
