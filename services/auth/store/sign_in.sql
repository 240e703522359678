-- Statements about people who sign in.

-- name: get_password
-- The digest of a user's password. $1 org  $2 user
SELECT digest FROM passwords WHERE org_id = $1 AND user_id = $2

-- name: set_password
-- A user's password from now on. $1 org  $2 user  $3 digest  $4 when
INSERT INTO passwords (org_id, user_id, digest, set_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id) DO UPDATE SET digest = excluded.digest, set_at = excluded.set_at

-- name: add_password_link
-- A link to set a password. $1 digest  $2 org  $3 user  $4 made  $5 expires
INSERT INTO password_links (digest, org_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)

-- name: end_password_link
-- The end of a user's open link, whatever its digest, or the one with a digest that has not expired. $1 org  $2 user  $3 when
-- $4 digest (or null)
UPDATE password_links SET ended_at = $3
 WHERE org_id = $1 AND user_id = $2 AND ended_at IS NULL AND ($4::bytea IS NULL OR (digest = $4 AND expires_at > $3))
RETURNING digest

-- name: find_password_link
-- What an open link says; the token tells whose it is. $1 digest  $2 now
SELECT l.digest, l.org_id, l.user_id, l.created_at, l.expires_at, o.name AS org_name, u.email
  FROM password_links l
  JOIN organizations o ON o.org_id = l.org_id
  JOIN users u ON u.org_id = l.org_id AND u.user_id = l.user_id
 WHERE l.digest = $1 AND l.ended_at IS NULL AND l.expires_at > $2 AND o.state = 'active' AND u.state = 'active'

-- name: find_login
-- Who signs in with an address: one user has it, everywhere. $1 e-mail
SELECT u.user_id, u.org_id, u.email, u.role_id, u.state, o.state AS org_state, p.digest
  FROM users u
  JOIN organizations o ON o.org_id = u.org_id
  LEFT JOIN passwords p ON p.user_id = u.user_id
 WHERE lower(u.email) = lower($1) AND u.state IN ('active', 'suspended')

-- name: add_session
-- A session begins. $1 session  $2 digest  $3 pepper  $4 org  $5 user  $6 when  $7 expires  $8 address
INSERT INTO browser_sessions (session_id, digest, pepper, org_id, user_id, created_at, seen_at, expires_at, address)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)

-- name: find_session
-- The session under one of some digests with whom it speaks for, in one snapshot. $1 digests
SELECT s.session_id, s.digest, s.pepper, s.org_id, s.user_id, s.created_at, s.seen_at, s.expires_at, s.ended_at, s.address,
       o.name AS org_name, o.state AS org_state, o.is_sandbox, o.read_only AS org_read_only, o.features, o.av,
       o.subscription_version, o.plan, o.subscription, o.per_minute, o.per_day, o.period_start, o.period_end,
       u.email, u.role_id, u.state, r.name AS role_name
  FROM browser_sessions s
  JOIN organizations o ON o.org_id = s.org_id
  JOIN users u ON u.org_id = s.org_id AND u.user_id = s.user_id
  JOIN roles r ON r.org_id = u.org_id AND r.role_id = u.role_id
 WHERE s.digest = ANY($1::bytea[])

-- name: saw_session
-- When a session was last used. $1 session  $2 when
UPDATE browser_sessions SET seen_at = $2 WHERE session_id = $1 AND seen_at < $2

-- name: end_session
-- The end of one session; the first date stands. $1 session  $2 when
UPDATE browser_sessions SET ended_at = $2 WHERE session_id = $1 AND ended_at IS NULL

-- name: end_sessions
-- The end of all sessions of a user. $1 org  $2 user  $3 when
UPDATE browser_sessions SET ended_at = $3 WHERE org_id = $1 AND user_id = $2 AND ended_at IS NULL

-- name: find_organization_of_user
-- Whose user it is; for the operator. $1 user
SELECT org_id FROM users WHERE user_id = $1 AND state <> 'removed'

-- name: forget_sessions
-- Sessions that expired before a date, a portion of them. $1 date
DELETE FROM browser_sessions
 WHERE session_id IN (SELECT session_id FROM browser_sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT 5000) RETURNING 1
