-- Copies of sent notices for the public Lumen database: for organizations that chose so, and nobody else.

-- No row: nothing was chosen, nothing is shared.
CREATE TABLE org_settings (
  org_id     uuid PRIMARY KEY,
  lumen      boolean NOT NULL DEFAULT false,
  changed_at timestamptz NOT NULL,
  changed_by text NOT NULL DEFAULT ''
);

CREATE TABLE lumen_copies (
  notice_id     uuid PRIMARY KEY REFERENCES notices,
  status        text NOT NULL CHECK (status IN ('planned', 'sending', 'sent', 'deferred', 'refused', 'uncertain', 'withdrawn')),
  tries         smallint NOT NULL DEFAULT 0,
  due_at        timestamptz,
  claimed_until timestamptz,
  sent_at       timestamptz,
  lumen_id      text                             -- where it stands there
);
CREATE INDEX lumen_copies_due ON lumen_copies (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX lumen_copies_sending ON lumen_copies (claimed_until) WHERE status = 'sending';

GRANT SELECT, INSERT, UPDATE ON org_settings, lumen_copies TO takedowns_app;
GRANT SELECT ON org_settings, lumen_copies TO takedowns_read;
