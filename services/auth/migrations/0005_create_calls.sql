-- Who called what, when, in which version: counted for all keys, and call by call for the keys of users. As edges tell it, a
-- few seconds late; what an edge had not told when it was killed is lost, so nothing is charged by it.

CREATE TABLE key_calls (
  call_id uuid PRIMARY KEY,        -- the request's id, a UUIDv7: the order of time
  org_id  uuid NOT NULL,
  key_id  uuid NOT NULL,
  at      timestamptz NOT NULL,
  method  text NOT NULL,
  path    text NOT NULL,           -- the route's template, without ids
  version text NOT NULL,           -- '' = it named none that there is
  status  smallint NOT NULL,
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, key_id)
);
CREATE INDEX key_calls_of_key ON key_calls (org_id, key_id, call_id);
CREATE INDEX key_calls_by_age ON key_calls (at);

CREATE TABLE version_calls (
  day     date NOT NULL,
  org_id  uuid NOT NULL,
  key_id  uuid NOT NULL,
  surface text NOT NULL,
  version text NOT NULL,
  calls   bigint NOT NULL CHECK (calls > 0),
  last_at timestamptz NOT NULL,
  PRIMARY KEY (day, org_id, key_id, surface, version),
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, key_id)
);

GRANT SELECT, INSERT, DELETE ON key_calls TO auth_app;
GRANT SELECT, INSERT, UPDATE ON version_calls TO auth_app;
