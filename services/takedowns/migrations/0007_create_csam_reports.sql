-- URLs that show the abuse of children wait here for a person, who tells the authorities. They are in no other table: not hashed, not
-- fetched, not deduplicated. Nobody but the service and its command line reads them; they go when the report was made.
CREATE TABLE csam_reports (
  id          uuid PRIMARY KEY,
  org_id      uuid NOT NULL,
  key_id      uuid,
  urls        text[],                            -- NULL once the authorities were told
  url_count   integer NOT NULL CHECK (url_count > 0),
  reported_at timestamptz NOT NULL,
  closed_at   timestamptz,
  closed_by   text,
  authority   text,                              -- who was told
  reference   text,                              -- its number of our report
  CHECK ((closed_at IS NULL) = (urls IS NOT NULL)),
  CHECK ((closed_at IS NULL) = (authority IS NULL))
);
CREATE INDEX csam_reports_open ON csam_reports (reported_at) WHERE closed_at IS NULL;

GRANT SELECT, INSERT, UPDATE ON csam_reports TO takedowns_app;
