-- People who sign in: a password, links to set one, and the sessions of browsers. Passwords are argon2id digests; links and
-- sessions are known by digests of random text, so a copy of these tables opens nothing.

CREATE TABLE passwords (
  user_id uuid PRIMARY KEY,
  org_id  uuid NOT NULL,
  digest  text NOT NULL CHECK (digest LIKE '$argon2id$%'),
  set_at  timestamptz NOT NULL,
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id)
);

-- For a user who has joined already: the operator hands the link over.
CREATE TABLE password_links (
  digest     bytea PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256 of the link's token, which is 256 random bits
  org_id     uuid NOT NULL,
  user_id    uuid NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
  ended_at   timestamptz,                                    -- used, or replaced by a newer one
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id)
);
CREATE UNIQUE INDEX password_links_one_open ON password_links (user_id) WHERE ended_at IS NULL;

CREATE TABLE browser_sessions (
  session_id uuid PRIMARY KEY,
  digest     bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- HMAC-SHA256 of the cookie's text under `pepper`
  pepper     text NOT NULL,
  org_id     uuid NOT NULL,
  user_id    uuid NOT NULL,
  created_at timestamptz NOT NULL,
  seen_at    timestamptz NOT NULL,                               -- to the minute; idle for too long ends it
  expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
  ended_at   timestamptz,
  address    text NOT NULL DEFAULT '',                           -- where it began
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id)
);
CREATE INDEX browser_sessions_of_user ON browser_sessions (org_id, user_id) WHERE ended_at IS NULL;
CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_at);

GRANT SELECT, INSERT, UPDATE (digest, set_at) ON passwords TO auth_app;
GRANT SELECT, INSERT, UPDATE (ended_at) ON password_links TO auth_app;
GRANT SELECT, INSERT, DELETE, UPDATE (seen_at, ended_at) ON browser_sessions TO auth_app;

-- Who is signed in has no key: the log names the user.
ALTER TABLE audit_log DROP CONSTRAINT audit_log_actor_check;
ALTER TABLE audit_log ADD CONSTRAINT audit_log_actor_check CHECK (actor IN ('key', 'operator', 'link', 'user'));
