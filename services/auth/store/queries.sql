-- Statements of auth's store. Each takes the organization, but for the look-up by digest (the key tells whose it is) and the
-- operator's own.

-- name: find_holder
-- The key under one of some digests with all that it speaks for, in one snapshot. $1 digests
SELECT k.key_id, k.org_id, k.kind, k.digest, k.pepper, k.start, k.label, k.role_id, k.scopes, k.user_id, k.model_id,
       k.api_version, k.key_per_minute, k.read_only, k.created_at, k.expires_at, k.revoked_at, k.addresses, k.last_used_at,
       o.name AS org_name, o.state AS org_state, o.is_sandbox, o.read_only AS org_read_only, o.features, o.av,
       o.subscription_version, o.plan, o.subscription, o.per_minute, o.per_day, o.period_start, o.period_end,
       r.name AS role_name, r.is_built_in, r.permissions, u.state AS user_state
  FROM keys k
  JOIN organizations o ON o.org_id = k.org_id
  LEFT JOIN roles r ON r.org_id = k.org_id AND r.role_id = k.role_id
  LEFT JOIN users u ON u.org_id = k.org_id AND u.user_id = k.user_id
 WHERE k.digest = ANY($1::bytea[])

-- name: get_holder
-- A key of an organization with all that it speaks for, in one snapshot. $1 org  $2 key
SELECT k.key_id, k.org_id, k.kind, k.digest, k.pepper, k.start, k.label, k.role_id, k.scopes, k.user_id, k.model_id,
       k.api_version, k.key_per_minute, k.read_only, k.created_at, k.expires_at, k.revoked_at, k.addresses, k.last_used_at,
       o.name AS org_name, o.state AS org_state, o.is_sandbox, o.read_only AS org_read_only, o.features, o.av,
       o.subscription_version, o.plan, o.subscription, o.per_minute, o.per_day, o.period_start, o.period_end,
       r.name AS role_name, r.is_built_in, r.permissions, u.state AS user_state
  FROM keys k
  JOIN organizations o ON o.org_id = k.org_id
  LEFT JOIN roles r ON r.org_id = k.org_id AND r.role_id = k.role_id
  LEFT JOIN users u ON u.org_id = k.org_id AND u.user_id = k.user_id
 WHERE k.org_id = $1 AND k.key_id = $2

-- name: rewrite_digest
-- Move a key to another pepper, unless somebody did already. $1 org  $2 key  $3 old pepper  $4 new pepper  $5 new digest
UPDATE keys SET pepper = $4, digest = $5 WHERE org_id = $1 AND key_id = $2 AND pepper = $3

-- name: count_by_pepper
-- Keys that are neither revoked nor expired, per pepper; for the operator. $1 now
SELECT pepper, count(*) AS keys
  FROM keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
 GROUP BY pepper ORDER BY pepper

-- name: lock_organization
-- An organization, held until the transaction ends: its changes happen one after another. $1 org
SELECT org_id, name AS org_name, state AS org_state, is_sandbox, read_only AS org_read_only, features, av,
       subscription_version, plan, subscription, per_minute, per_day, period_start, period_end
  FROM organizations WHERE org_id = $1 FOR UPDATE

-- name: get_organization
-- An organization, whatever its state. $1 org
SELECT org_id, name AS org_name, state AS org_state, is_sandbox, read_only AS org_read_only, features, av,
       subscription_version, plan, subscription, per_minute, per_day, period_start, period_end
  FROM organizations WHERE org_id = $1

-- name: list_organizations
-- All organizations, newest first; for the operator.
SELECT org_id, name AS org_name, state AS org_state, is_sandbox, read_only AS org_read_only, features, av,
       subscription_version, plan, subscription, per_minute, per_day, period_start, period_end
  FROM organizations ORDER BY created_at DESC, org_id

-- name: add_organization
-- A new organization. $1 org  $2 name  $3 sandbox?
INSERT INTO organizations (org_id, name, is_sandbox) VALUES ($1, $2, $3)

-- name: set_av
-- The auth version after a change. $1 org  $2 av
UPDATE organizations SET av = $2 WHERE org_id = $1

-- name: set_state
-- Suspend, resume or end an organization. $1 org  $2 state
UPDATE organizations SET state = $2 WHERE org_id = $1

-- name: set_subscription
-- Billing's word on the plan. $1 org  $2 version  $3 plan  $4 status  $5 per minute  $6 per day  $7 start  $8 end
UPDATE organizations
   SET subscription_version = $2, plan = $3, subscription = $4, per_minute = $5, per_day = $6, period_start = $7, period_end = $8
 WHERE org_id = $1

-- name: add_user
-- A new user. $1 user  $2 org  $3 e-mail  $4 role  $5 state
INSERT INTO users (user_id, org_id, email, role_id, state) VALUES ($1, $2, $3, $4, $5)

-- name: get_user
-- A user who was not removed. $1 org  $2 user
SELECT user_id, org_id, email, role_id, state FROM users WHERE org_id = $1 AND user_id = $2 AND state <> 'removed'

-- name: find_user
-- Who has an address here. $1 org  $2 e-mail
SELECT user_id, org_id, email, role_id, state FROM users
 WHERE org_id = $1 AND lower(email) = lower($2) AND state <> 'removed'

-- name: count_users
-- How many users an organization has, invited ones among them. $1 org
SELECT count(*) FROM users WHERE org_id = $1 AND state <> 'removed'

-- name: list_owners
-- Active users with the built-in role of a name. $1 org  $2 the role's name
SELECT u.user_id, u.org_id, u.email, u.role_id, u.state
  FROM users u JOIN roles r ON r.org_id = u.org_id AND r.role_id = u.role_id
 WHERE u.org_id = $1 AND u.state = 'active' AND r.is_built_in AND r.name = $2

-- name: update_user
-- What may change about a user. $1 org  $2 user  $3 role  $4 state
UPDATE users SET role_id = $3, state = $4 WHERE org_id = $1 AND user_id = $2

-- name: page_users
-- A page of an organization's users with their roles' names and open links, oldest first. $1 org  $2 limit  $3 offset
SELECT u.user_id, u.org_id, u.email, u.role_id, u.state, u.created_at, r.name AS role_name, i.expires_at AS invited_until
  FROM users u JOIN roles r ON r.org_id = u.org_id AND r.role_id = u.role_id
  LEFT JOIN invitations i ON i.user_id = u.user_id AND i.ended_at IS NULL
 WHERE u.org_id = $1 AND u.state <> 'removed' ORDER BY u.created_at, u.user_id LIMIT $2 OFFSET $3

-- name: get_listed_user
-- A user, removed or not, with the role's name and the open link. $1 org  $2 user
SELECT u.user_id, u.org_id, u.email, u.role_id, u.state, u.created_at, r.name AS role_name, i.expires_at AS invited_until
  FROM users u JOIN roles r ON r.org_id = u.org_id AND r.role_id = u.role_id
  LEFT JOIN invitations i ON i.user_id = u.user_id AND i.ended_at IS NULL
 WHERE u.org_id = $1 AND u.user_id = $2

-- name: add_invitation
-- A link for an invited user. $1 digest  $2 org  $3 user  $4 made  $5 expires
INSERT INTO invitations (digest, org_id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)

-- name: end_invitation
-- The end of a user's open link, whatever its digest, or the one with a digest that has not expired. $1 org  $2 user
-- $3 when  $4 digest (or null)
UPDATE invitations SET ended_at = $3
 WHERE org_id = $1 AND user_id = $2 AND ended_at IS NULL AND ($4::bytea IS NULL OR (digest = $4 AND expires_at > $3))
RETURNING digest

-- name: find_invitation
-- What an open link says; the token tells whose it is. $1 digest  $2 now
SELECT i.digest, i.org_id, i.user_id, i.created_at, i.expires_at, o.name AS org_name, u.email, r.name AS role_name
  FROM invitations i
  JOIN organizations o ON o.org_id = i.org_id
  JOIN users u ON u.org_id = i.org_id AND u.user_id = i.user_id
  JOIN roles r ON r.org_id = u.org_id AND r.role_id = u.role_id
 WHERE i.digest = $1 AND i.ended_at IS NULL AND i.expires_at > $2 AND o.state = 'active'

-- name: list_personal_keys
-- A user's own keys that were not revoked. $1 org  $2 user
SELECT key_id, org_id, kind, digest, pepper, start, label, role_id, scopes, user_id, model_id, api_version, key_per_minute,
       read_only, created_at, expires_at, revoked_at, addresses, last_used_at
  FROM keys WHERE org_id = $1 AND user_id = $2 AND kind = 'personal' AND revoked_at IS NULL

-- name: add_role
-- A new role. $1 role  $2 org  $3 name  $4 built in?  $5 permissions
INSERT INTO roles (role_id, org_id, name, is_built_in, permissions) VALUES ($1, $2, $3, $4, $5)

-- name: find_role
-- A role by its name, in any case of letters. $1 org  $2 name
SELECT role_id, org_id, name AS role_name, is_built_in, permissions FROM roles
 WHERE org_id = $1 AND lower(name) = lower($2) AND removed_at IS NULL

-- name: list_roles
-- An organization's roles, built-in ones first. $1 org
SELECT role_id, org_id, name AS role_name, is_built_in, permissions
  FROM roles WHERE org_id = $1 AND removed_at IS NULL ORDER BY is_built_in DESC, lower(name)

-- name: get_role
-- A role by its id. $1 org  $2 role
SELECT role_id, org_id, name AS role_name, is_built_in, permissions
  FROM roles WHERE org_id = $1 AND role_id = $2 AND removed_at IS NULL

-- name: count_roles
-- How many roles an organization has. $1 org
SELECT count(*) FROM roles WHERE org_id = $1 AND removed_at IS NULL

-- name: replace_role
-- Name and permissions of a role of the organization's own. $1 org  $2 role  $3 name  $4 permissions
UPDATE roles SET name = $3, permissions = $4 WHERE org_id = $1 AND role_id = $2 AND NOT is_built_in AND removed_at IS NULL

-- name: role_is_in_use
-- Whether a live key or a user has a role. $1 org  $2 role  $3 now
SELECT EXISTS (SELECT FROM keys WHERE org_id = $1 AND role_id = $2 AND revoked_at IS NULL
                  AND (expires_at IS NULL OR expires_at > $3))
    OR EXISTS (SELECT FROM users WHERE org_id = $1 AND role_id = $2 AND state <> 'removed')

-- name: remove_role
-- The end of a role of the organization's own. $1 org  $2 role  $3 when
UPDATE roles SET removed_at = $3 WHERE org_id = $1 AND role_id = $2 AND NOT is_built_in AND removed_at IS NULL

-- name: add_key
-- A new key. $1 … $17 in the order of the columns
INSERT INTO keys (key_id, org_id, kind, digest, pepper, start, label, role_id, scopes, user_id, model_id, api_version,
                  key_per_minute, read_only, created_at, expires_at, addresses)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)

-- name: get_key
-- A key of an organization. $1 org  $2 key
SELECT key_id, org_id, kind, digest, pepper, start, label, role_id, scopes, user_id, model_id, api_version, key_per_minute,
       read_only, created_at, expires_at, revoked_at, addresses,
       last_used_at
  FROM keys WHERE org_id = $1 AND key_id = $2

-- name: list_keys
-- An organization's keys, newest first. $1 org
SELECT key_id, org_id, kind, digest, pepper, start, label, role_id, scopes, user_id, model_id, api_version, key_per_minute,
       read_only, created_at, expires_at, revoked_at, addresses,
       last_used_at
  FROM keys WHERE org_id = $1 ORDER BY created_at DESC, key_id DESC

-- name: revoke_key
-- The end of a key; the first date stands. $1 org  $2 key  $3 when
UPDATE keys SET revoked_at = $3 WHERE org_id = $1 AND key_id = $2 AND revoked_at IS NULL

-- name: find_organization_of_key
-- Whose key it is; for the operator. $1 key
SELECT org_id FROM keys WHERE key_id = $1

-- name: count_keys
-- Keys of an organization that still open something. $1 org  $2 now
SELECT count(*) FROM keys WHERE org_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)

-- name: update_key
-- What may change about a key. $1 org  $2 key  $3 label  $4 role  $5 expiry  $6 addresses
UPDATE keys SET label = $3, role_id = $4, expires_at = $5, addresses = $6 WHERE org_id = $1 AND key_id = $2

-- name: get_listed_key
-- A key and its role's name. $1 org  $2 key
SELECT k.key_id, k.org_id, k.kind, k.digest, k.pepper, k.start, k.label, k.role_id, k.scopes, k.user_id, k.model_id,
       k.api_version, k.key_per_minute, k.read_only, k.created_at, k.expires_at, k.revoked_at, k.addresses, k.last_used_at,
       r.name AS role_name
  FROM keys k LEFT JOIN roles r ON r.org_id = k.org_id AND r.role_id = k.role_id
 WHERE k.org_id = $1 AND k.key_id = $2

-- name: page_keys
-- A page of an organization's keys with their roles' names, newest first. $1 org  $2 limit  $3 offset
SELECT k.key_id, k.org_id, k.kind, k.digest, k.pepper, k.start, k.label, k.role_id, k.scopes, k.user_id, k.model_id,
       k.api_version, k.key_per_minute, k.read_only, k.created_at, k.expires_at, k.revoked_at, k.addresses, k.last_used_at,
       r.name AS role_name
  FROM keys k LEFT JOIN roles r ON r.org_id = k.org_id AND r.role_id = k.role_id
 WHERE k.org_id = $1 ORDER BY k.created_at DESC, k.key_id DESC LIMIT $2 OFFSET $3

-- name: count_all_keys
-- How many keys an organization has ever had. $1 org
SELECT count(*) FROM keys WHERE org_id = $1

-- name: rename_organization
-- Another name. $1 org  $2 name
UPDATE organizations SET name = $2 WHERE org_id = $1

-- name: add_audit
-- A line of the audit log. $1 entry  $2 org  $3 action  $4 object  $5 actor  $6 key  $7 user  $8 address  $9 details
-- $10 when
INSERT INTO audit_log (entry_id, org_id, action, object_id, actor, key_id, user_id, address, details, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: page_audit
-- A page of an organization's audit log, newest first. $1 org  $2 limit  $3 before this entry (or null)
SELECT entry_id, at, action, object_id, actor, key_id, user_id, address, details
  FROM audit_log WHERE org_id = $1 AND ($3::uuid IS NULL OR entry_id < $3) ORDER BY entry_id DESC LIMIT $2

-- name: set_features
-- What an organization may use beyond the usual. $1 org  $2 features
UPDATE organizations SET features = $2 WHERE org_id = $1

-- name: add_calls
-- Single calls; of a key that is not known here, nothing. $1 calls  $2 orgs  $3 keys  $4 when  $5 methods  $6 paths
-- $7 versions  $8 statuses
INSERT INTO key_calls (call_id, org_id, key_id, at, method, path, version, status)
SELECT c.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::smallint[])
       AS c (call_id, org_id, key_id, at, method, path, version, status)
  JOIN keys k ON k.org_id = c.org_id AND k.key_id = c.key_id
ON CONFLICT DO NOTHING

-- name: count_version_calls
-- Calls by key, surface and version. $1 days  $2 orgs  $3 keys  $4 surfaces  $5 versions  $6 calls  $7 last
INSERT INTO version_calls AS v (day, org_id, key_id, surface, version, calls, last_at)
SELECT c.* FROM unnest($1::date[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
       AS c (day, org_id, key_id, surface, version, calls, last_at)
  JOIN keys k ON k.org_id = c.org_id AND k.key_id = c.key_id
 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (day, org_id, key_id, surface, version)
DO UPDATE SET calls = v.calls + excluded.calls, last_at = greatest(v.last_at, excluded.last_at)

-- name: touch_keys
-- When keys were last used, to the minute; leaves the auth version alone. Locked in one order, so that two messages at once
-- never wait in a circle. $1 orgs  $2 keys  $3 when
UPDATE keys k SET last_used_at = c.at
  FROM (SELECT known.key_id, used.at
          FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS used (org_id, key_id, at)
          JOIN keys known ON known.org_id = used.org_id AND known.key_id = used.key_id
         WHERE known.last_used_at IS NULL OR known.last_used_at < used.at - interval '1 minute'
         ORDER BY known.key_id FOR NO KEY UPDATE OF known) AS c
 WHERE k.key_id = c.key_id

-- name: page_calls
-- A page of a key's calls, newest first. $1 org  $2 key  $3 limit  $4 before this call (or null)
SELECT call_id, at, method, path, version, status
  FROM key_calls WHERE org_id = $1 AND key_id = $2 AND ($4::uuid IS NULL OR call_id < $4) ORDER BY call_id DESC LIMIT $3

-- name: forget_calls
-- Single calls from before a date, a portion of them. $1 date
DELETE FROM key_calls WHERE call_id IN (SELECT call_id FROM key_calls WHERE at < $1 ORDER BY at LIMIT 10000) RETURNING 1

-- name: forget_removed_users
-- The e-mails of users who were removed before a time, a portion of them. $1 time  $2 portion
UPDATE users SET email = 'removed'
 WHERE user_id IN (SELECT user_id FROM users WHERE state = 'removed' AND email <> 'removed' AND removed_at < $1
                    ORDER BY removed_at LIMIT $2)

-- name: forget_invitations
-- Links that ended before a time, a portion of them. $1 time  $2 portion
DELETE FROM invitations WHERE digest IN
  (SELECT digest FROM invitations WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)

-- name: forget_version_calls
-- Counts of days before a day, a portion of them. $1 day  $2 portion
DELETE FROM version_calls WHERE (day, org_id, key_id, surface, version) IN
  (SELECT day, org_id, key_id, surface, version FROM version_calls WHERE day < $1 ORDER BY day LIMIT $2)

-- name: list_version_calls
-- Who called in which version since a day, the busiest first; for the operator. $1 since  $2 version (or null)
SELECT v.version, v.surface, v.org_id, o.name AS org_name, v.key_id, k.label, k.start, sum(v.calls)::bigint AS calls,
       max(v.last_at) AS last_at
  FROM version_calls v
  JOIN organizations o ON o.org_id = v.org_id
  JOIN keys k ON k.org_id = v.org_id AND k.key_id = v.key_id
 WHERE v.day >= $1 AND ($2::text IS NULL OR v.version = $2)
 GROUP BY v.version, v.surface, v.org_id, o.name, v.key_id, k.label, k.start
 ORDER BY v.version, calls DESC, v.key_id
