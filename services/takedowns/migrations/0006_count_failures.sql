-- URLs whose processing ended in a defect of ours, and how often in a row: the third time their credits return.
CREATE TABLE url_failures (
  creator_id bigint NOT NULL,
  url_id     uuid NOT NULL,
  tries      smallint NOT NULL DEFAULT 1,
  last_at    timestamptz NOT NULL,
  PRIMARY KEY (creator_id, url_id)
);

GRANT SELECT, INSERT, UPDATE ON url_failures TO takedowns_app;
GRANT SELECT ON url_failures TO takedowns_read;
