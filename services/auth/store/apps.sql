-- Statements about apps of third parties and what users granted to them. Each takes the organization, but for those by client id
-- and the operator's and sweeper's own.

-- name: add_app
-- A new app. $1 app  $2 org  $3 user  $4 name  $5 confidential?  $6 stage  $7 redirects  $8 webhooks  $9 made
INSERT INTO apps (app_id, org_id, user_id, name, is_confidential, stage, redirect_uris, webhook_urls, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: lock_app
-- An app that was not deleted, held. $1 org  $2 app
SELECT app_id, org_id AS app_org_id, user_id AS app_user_id, name AS app_name, is_confidential, stage, redirect_uris, webhook_urls,
       state AS app_state, created_at AS app_created_at
  FROM apps WHERE org_id = $1 AND app_id = $2 AND state <> 'deleted' FOR UPDATE

-- name: get_app
-- An app, whatever its state. $1 org  $2 app
SELECT app_id, org_id AS app_org_id, user_id AS app_user_id, name AS app_name, is_confidential, stage, redirect_uris, webhook_urls,
       state AS app_state, created_at AS app_created_at
  FROM apps WHERE org_id = $1 AND app_id = $2

-- name: page_apps
-- A page of an organization's apps, oldest first. $1 org  $2 limit  $3 offset
SELECT app_id, org_id AS app_org_id, user_id AS app_user_id, name AS app_name, is_confidential, stage, redirect_uris, webhook_urls,
       state AS app_state, created_at AS app_created_at
  FROM apps WHERE org_id = $1 AND state <> 'deleted' ORDER BY created_at, app_id LIMIT $2 OFFSET $3

-- name: count_all_apps
-- How many apps an organization has. $1 org
SELECT count(*) FROM apps WHERE org_id = $1 AND state <> 'deleted'

-- name: count_apps_of_user
-- How many apps a user answers for. $1 org  $2 user
SELECT count(*) FROM apps WHERE org_id = $1 AND user_id = $2 AND state <> 'deleted'

-- name: apps_behind
-- Apps of an organization, or of one user of it. $1 org  $2 user (or null)
SELECT app_id FROM apps WHERE org_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND state <> 'deleted'

-- name: update_app
-- What may change about an app. $1 org  $2 app  $3 name  $4 stage  $5 redirects  $6 webhooks  $7 state
UPDATE apps SET name = $3, stage = $4, redirect_uris = $5, webhook_urls = $6, state = $7 WHERE org_id = $1 AND app_id = $2

-- name: find_organization_of_app
-- Whose app it is. $1 app
SELECT org_id FROM apps WHERE app_id = $1

-- name: find_client
-- An app with the states of those behind it, in one snapshot. $1 app
SELECT a.app_id, a.org_id AS app_org_id, a.user_id AS app_user_id, a.name AS app_name, a.is_confidential, a.stage, a.redirect_uris,
       a.webhook_urls, a.state AS app_state, a.created_at AS app_created_at, o.name AS owner_name, o.state AS owner_org_state,
       u.state AS owner_user_state,
       ARRAY(SELECT d.domain FROM app_domains d WHERE d.app_id = a.app_id AND d.verified_at IS NOT NULL ORDER BY 1) AS domains
  FROM apps a
  JOIN organizations o ON o.org_id = a.org_id
  JOIN users u ON u.org_id = a.org_id AND u.user_id = a.user_id
 WHERE a.app_id = $1

-- name: list_secrets
-- An app's secrets, oldest first. $1 app
SELECT secret_id, digest, pepper, start, created_at, expires_at FROM app_secrets WHERE app_id = $1 ORDER BY created_at, secret_id

-- name: add_secret
-- A new secret. $1 secret  $2 app  $3 org  $4 digest  $5 pepper  $6 start  $7 made
INSERT INTO app_secrets (secret_id, app_id, org_id, digest, pepper, start, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: end_secret
-- When a secret ends; an earlier end stands. $1 org  $2 secret  $3 when
UPDATE app_secrets SET expires_at = least($3, expires_at) WHERE org_id = $1 AND secret_id = $2

-- name: rewrite_secret
-- Move a secret to another pepper, unless somebody did already. $1 secret  $2 old pepper  $3 new pepper  $4 new digest
UPDATE app_secrets SET pepper = $3, digest = $4 WHERE secret_id = $1 AND pepper = $2

-- name: list_domains
-- An app's domains. $1 app
SELECT domain, token, method, created_at, verified_at FROM app_domains WHERE app_id = $1 ORDER BY domain

-- name: add_domain
-- A domain whose proof is wanted. $1 app  $2 org  $3 domain  $4 token  $5 when
INSERT INTO app_domains (app_id, org_id, domain, token, created_at) VALUES ($1, $2, $3, $4, $5)

-- name: verify_domain
-- The proof was found; the first date stands. $1 org  $2 app  $3 domain  $4 method  $5 when
UPDATE app_domains SET method = $4, verified_at = $5 WHERE org_id = $1 AND app_id = $2 AND domain = $3 AND verified_at IS NULL

-- name: add_grant
-- What a user allows. $1 grant  $2 app  $3 org  $4 user  $5 model  $6 scopes  $7 when
INSERT INTO grants (grant_id, app_id, org_id, user_id, model_id, scopes, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: find_live_grant
-- The grant that stands. $1 org  $2 app  $3 user  $4 model
SELECT grant_id, app_id, org_id, user_id, model_id, scopes AS grant_scopes, created_at AS granted_at, revoked_at
  FROM grants WHERE org_id = $1 AND app_id = $2 AND user_id = $3 AND model_id = $4 AND revoked_at IS NULL

-- name: get_grant
-- A grant, whatever its state. $1 org  $2 grant
SELECT grant_id, app_id, org_id, user_id, model_id, scopes AS grant_scopes, created_at AS granted_at, revoked_at
  FROM grants WHERE org_id = $1 AND grant_id = $2

-- name: list_grants_of_app
-- Grants of an organization's users to an app. $1 org  $2 app
SELECT grant_id, app_id, org_id, user_id, model_id, scopes AS grant_scopes, created_at AS granted_at, revoked_at
  FROM grants WHERE org_id = $1 AND app_id = $2 AND revoked_at IS NULL

-- name: revoke_grant
-- The end of a grant; the first date stands. Its row is locked before those of its tokens, by everybody. $1 org  $2 grant  $3 when
UPDATE grants SET revoked_at = coalesce(revoked_at, $3) WHERE org_id = $1 AND grant_id = $2

-- name: end_tokens_of_grant
-- The end of all tokens of a grant. $1 org  $2 grant  $3 when
UPDATE oauth_tokens SET ended_at = $3 WHERE org_id = $1 AND grant_id = $2 AND ended_at IS NULL

-- name: lock_grant
-- A grant, held: what happens to its tokens happens one after another. $1 grant
SELECT grant_id, app_id, org_id, user_id, model_id, scopes AS grant_scopes, created_at AS granted_at, revoked_at
  FROM grants WHERE grant_id = $1 FOR UPDATE

-- name: end_tokens
-- The end of a family of tokens, or of one of it. $1 org  $2 family  $3 token (or null)  $4 when
UPDATE oauth_tokens SET ended_at = $4
 WHERE org_id = $1 AND family_id = $2 AND ($3::uuid IS NULL OR token_id = $3) AND ended_at IS NULL
RETURNING token_id

-- name: get_listed_grant
-- A grant with the names that people know. $1 org  $2 grant
SELECT g.grant_id, g.app_id, g.org_id, g.user_id, g.model_id, g.scopes AS grant_scopes, g.created_at AS granted_at, g.revoked_at,
       a.name AS app_name, o.name AS owner_name, u.email,
       ARRAY(SELECT d.domain FROM app_domains d WHERE d.app_id = a.app_id AND d.verified_at IS NOT NULL ORDER BY 1) AS domains
  FROM grants g
  JOIN apps a ON a.app_id = g.app_id
  JOIN organizations o ON o.org_id = a.org_id
  JOIN users u ON u.org_id = g.org_id AND u.user_id = g.user_id
 WHERE g.org_id = $1 AND g.grant_id = $2

-- name: page_grants
-- A page of what users allowed, newest first. $1 org  $2 limit  $3 offset  $4 user (or null)  $5 only those that stand?
SELECT g.grant_id, g.app_id, g.org_id, g.user_id, g.model_id, g.scopes AS grant_scopes, g.created_at AS granted_at, g.revoked_at,
       a.name AS app_name, o.name AS owner_name, u.email,
       ARRAY(SELECT d.domain FROM app_domains d WHERE d.app_id = a.app_id AND d.verified_at IS NOT NULL ORDER BY 1) AS domains
  FROM grants g
  JOIN apps a ON a.app_id = g.app_id
  JOIN organizations o ON o.org_id = a.org_id
  JOIN users u ON u.org_id = g.org_id AND u.user_id = g.user_id
 WHERE g.org_id = $1 AND ($4::uuid IS NULL OR g.user_id = $4) AND (NOT $5::boolean OR g.revoked_at IS NULL)
 ORDER BY g.created_at DESC, g.grant_id DESC LIMIT $2 OFFSET $3

-- name: count_grants
-- How many there are on all pages. $1 org  $2 user (or null)  $3 only those that stand?
SELECT count(*) FROM grants WHERE org_id = $1 AND ($2::uuid IS NULL OR user_id = $2) AND (NOT $3::boolean OR revoked_at IS NULL)

-- name: list_organizations_granting
-- Whose users have grants to an app. $1 app
SELECT DISTINCT org_id FROM grants WHERE app_id = $1 AND revoked_at IS NULL

-- name: list_dead_grants
-- Grants that outlived their app or their user, a portion of them; for the sweeper.
SELECT g.org_id, g.grant_id
  FROM grants g
  JOIN apps a ON a.app_id = g.app_id
  JOIN users u ON u.org_id = g.org_id AND u.user_id = g.user_id
  JOIN organizations o ON o.org_id = g.org_id
 WHERE g.revoked_at IS NULL AND o.state <> 'deleted' AND (a.state <> 'active' OR u.state = 'removed')
 ORDER BY g.org_id LIMIT 1000

-- name: add_code
-- A code. $1 digest  $2 code  $3 app  $4 org  $5 grant  $6 redirect  $7 challenge  $8 made  $9 expires
INSERT INTO authorization_codes (digest, code_id, app_id, org_id, grant_id, redirect_uri, challenge, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: find_code
-- A code by its digest; it tells whose it is. $1 digest
SELECT digest, code_id, app_id, org_id, grant_id, redirect_uri, challenge, created_at, expires_at, used_at
  FROM authorization_codes WHERE digest = $1

-- name: use_code
-- The one use of a code. $1 digest  $2 when
UPDATE authorization_codes SET used_at = $2 WHERE digest = $1 AND used_at IS NULL

-- name: find_token
-- The token under one of some digests with all that it speaks for, in one snapshot. $1 digests
SELECT t.token_id, t.kind, t.digest, t.pepper, t.family_id, t.scopes AS token_scopes, t.created_at AS issued_at, t.expires_at,
       t.replaced_at, t.ended_at,
       g.grant_id, g.app_id, g.org_id, g.user_id, g.model_id, g.scopes AS grant_scopes, g.created_at AS granted_at, g.revoked_at,
       o.name AS org_name, o.state AS org_state, o.is_sandbox, o.read_only AS org_read_only, o.features, o.av,
       o.subscription_version, o.plan, o.subscription, o.per_minute, o.per_day, o.period_start, o.period_end,
       r.role_id, r.name AS role_name, r.is_built_in, r.permissions, u.state AS user_state,
       a.org_id AS app_org_id, a.user_id AS app_user_id, a.name AS app_name, a.is_confidential, a.stage, a.redirect_uris,
       a.webhook_urls, a.state AS app_state, a.created_at AS app_created_at, ao.name AS owner_name, ao.state AS owner_org_state,
       au.state AS owner_user_state, ARRAY[]::text[] AS domains
  FROM oauth_tokens t
  JOIN grants g ON g.org_id = t.org_id AND g.grant_id = t.grant_id
  JOIN organizations o ON o.org_id = g.org_id
  JOIN users u ON u.org_id = g.org_id AND u.user_id = g.user_id
  JOIN roles r ON r.org_id = u.org_id AND r.role_id = u.role_id
  JOIN apps a ON a.app_id = g.app_id
  JOIN organizations ao ON ao.org_id = a.org_id
  JOIN users au ON au.org_id = a.org_id AND au.user_id = a.user_id
 WHERE t.digest = ANY($1::bytea[])

-- name: add_token
-- A token. $1 token  $2 kind  $3 digest  $4 pepper  $5 org  $6 grant  $7 family  $8 scopes  $9 made  $10 expires
INSERT INTO oauth_tokens (token_id, kind, digest, pepper, org_id, grant_id, family_id, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: replace_refresh
-- A family's refresh token has a successor. $1 family  $2 when
UPDATE oauth_tokens SET replaced_at = $2
 WHERE family_id = $1 AND kind = 'refresh' AND replaced_at IS NULL AND ended_at IS NULL

-- name: forget_codes
-- Codes that expired before a date, a portion of them. $1 date
DELETE FROM authorization_codes
 WHERE digest IN (SELECT digest FROM authorization_codes WHERE expires_at < $1 ORDER BY expires_at LIMIT 5000) RETURNING 1

-- name: forget_tokens
-- Tokens that expired before a date, a portion of them. $1 date
DELETE FROM oauth_tokens
 WHERE token_id IN (SELECT token_id FROM oauth_tokens WHERE expires_at < $1 ORDER BY expires_at LIMIT 5000) RETURNING 1
