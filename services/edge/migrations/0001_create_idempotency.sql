-- What was answered under an Idempotency-Key, for 24 hours. Every row carries its organization; a key is kept as its digest.

CREATE TABLE idempotency (
  org_id        uuid NOT NULL,
  key_digest    bytea NOT NULL CHECK (octet_length(key_digest) = 32),
  fingerprint   bytea NOT NULL CHECK (octet_length(fingerprint) = 32),  -- of the request: another one under the key is a 422
  call_id       uuid NOT NULL,                       -- of the first try; whoever takes the claim over goes on under it
  turn          integer NOT NULL DEFAULT 1 CHECK (turn > 0),  -- raised when a claim is taken over: its old holder writes no more
  claimed_until timestamptz NOT NULL,                -- an unanswered row may be taken over from then on
  created_at    timestamptz NOT NULL DEFAULT now(),
  status        smallint CHECK (status BETWEEN 200 AND 599),  -- NULL: not answered yet
  code          text CHECK (code = '' OR code ~ '^[A-Z_]+$'),  -- of an error; empty: a success
  sealed_by     text,                                -- the pepper whose subkey `answer` is sealed with
  answer        bytea,                               -- NULL beside a status: it was too large to be kept
  PRIMARY KEY (org_id, key_digest),
  CHECK ((status IS NULL) = (code IS NULL)),
  CHECK ((answer IS NULL) = (sealed_by IS NULL)),
  CHECK (answer IS NULL OR status IS NOT NULL)
);
CREATE INDEX idempotency_age ON idempotency (created_at);

GRANT SELECT, INSERT, DELETE ON idempotency TO edge_app;
-- Not its key: a row cannot be moved to another organization.
GRANT UPDATE (fingerprint, call_id, turn, claimed_until, created_at, status, code, sealed_by, answer)
  ON idempotency TO edge_app;
