-- People by invitation: an invited user has a role and a link, and the link makes the user active, once.

ALTER TABLE users DROP CONSTRAINT users_state_check;
ALTER TABLE users ADD CONSTRAINT users_state_check CHECK (state IN ('invited', 'active', 'suspended', 'removed'));

-- An invitation takes an address in its organization only: whoever invites a stranger neither blocks nor learns anything.
DROP INDEX users_email_once;
CREATE UNIQUE INDEX users_email_once ON users (lower(email)) WHERE state IN ('active', 'suspended');
CREATE UNIQUE INDEX users_email_in_organization ON users (org_id, lower(email)) WHERE state <> 'removed';
CREATE INDEX users_of_organization ON users (org_id, created_at, user_id);

CREATE TABLE invitations (
  digest     bytea PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256 of the link's token, which is 256 random bits
  org_id     uuid NOT NULL,
  user_id    uuid NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
  ended_at   timestamptz,                                    -- used, replaced by a newer one, or withdrawn
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id)
);
CREATE UNIQUE INDEX invitations_one_open ON invitations (user_id) WHERE ended_at IS NULL;

GRANT SELECT, INSERT, UPDATE (ended_at) ON invitations TO auth_app;

-- Who follows a link has no key: the log names the link.
ALTER TABLE audit_log DROP CONSTRAINT audit_log_actor_check;
ALTER TABLE audit_log ADD CONSTRAINT audit_log_actor_check CHECK (actor IN ('key', 'operator', 'link'));
