-- What sending and reading mail needs beyond the tables of notices: refusals as a kind of answer, and how much was sent a day.

ALTER TABLE inbound DROP CONSTRAINT inbound_kind_check;
ALTER TABLE inbound ADD CONSTRAINT inbound_kind_check CHECK (kind IN ('bounce', 'ack', 'removed', 'refused', 'need_info', 'use_form',
  'counter_notice', 'other'));

-- Mails that left per sending domain and day (UTC): a new domain begins with few and earns its way up.
CREATE TABLE mail_days (
  domain text NOT NULL,
  day    date NOT NULL,
  sent   integer NOT NULL DEFAULT 0,
  PRIMARY KEY (domain, day)
);

GRANT SELECT, INSERT, UPDATE ON mail_days TO takedowns_app;
GRANT SELECT ON mail_days TO takedowns_read;
