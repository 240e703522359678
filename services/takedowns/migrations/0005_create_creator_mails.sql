-- What organizations are told by mail about a creator: what a person has to do, and what hosts answered.

ALTER TABLE actions ADD COLUMN told_at timestamptz;  -- when it went into a mail, or needed none
ALTER TABLE inbound ADD COLUMN told_at timestamptz;
UPDATE actions SET told_at = now();  -- nobody is mailed about the past
UPDATE inbound SET told_at = now();
CREATE INDEX actions_untold ON actions (opened_at) WHERE told_at IS NULL;
CREATE INDEX inbound_untold ON inbound (at) WHERE told_at IS NULL AND notice_id IS NOT NULL;

-- One mail tells of all that happened since the last one. To the address that the creator had when it was written.
CREATE TABLE creator_mails (
  id            uuid PRIMARY KEY,
  org_id        uuid NOT NULL,
  creator_id    bigint NOT NULL REFERENCES creators,
  to_addr       text NOT NULL,
  status        text NOT NULL CHECK (status IN ('planned', 'sending', 'sent', 'rendered', 'deferred', 'refused', 'uncertain')),
  raw           bytea,                           -- NULL once the creator's personal data were wiped
  tries         smallint NOT NULL DEFAULT 0,
  last_code     integer,
  made_at       timestamptz NOT NULL,
  due_at        timestamptz,
  claimed_until timestamptz,
  sent_at       timestamptz
) WITH (fillfactor = 80);
CREATE INDEX creator_mails_due ON creator_mails (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX creator_mails_of ON creator_mails (creator_id, made_at);

GRANT SELECT, INSERT, UPDATE ON creator_mails TO takedowns_app;
GRANT SELECT ON creator_mails TO takedowns_read;
