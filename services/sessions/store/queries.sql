-- name: find_model
-- A model of an organization with its sealed session.
SELECT models.*, vault.session FROM models LEFT JOIN vault USING (org_id, model_id)
 WHERE model_id = $1 AND org_id = $2 AND state <> 'deleted';

-- name: hold_model
-- Wait for the model: one holder at a time, across processes, until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended($1, 0));

-- name: load_model
-- A model with everything sealed.
SELECT models.*, vault.credentials, vault.session, vault.pending FROM models LEFT JOIN vault USING (org_id, model_id)
 WHERE model_id = $1 AND org_id = $2 AND state <> 'deleted';

-- name: find_labelled
-- An organization's model of this provider and name.
SELECT models.* FROM models WHERE org_id = $1 AND provider = $2 AND label = $3 AND state <> 'deleted';

-- name: find_account
-- Another model of the organization that is this account (as the index models_account_once counts them).
SELECT true FROM models
 WHERE org_id = $1 AND provider = $2 AND account = $3 AND model_id <> $4
   AND state NOT IN ('deleted', 'disconnected', 'connect_failed') LIMIT 1;

-- name: find_holders
-- An organization's models with this account number, newest first.
SELECT model_id, provider, state FROM models WHERE org_id = $1 AND account = $2 AND state <> 'deleted'
 ORDER BY created_at DESC, model_id DESC;

-- name: create_model
-- A new model.
INSERT INTO models (model_id, org_id, provider, label, state) VALUES ($1, $2, $3, $4, $5);

-- name: save_model
-- Write a model as one version later; no row = somebody else was quicker.
UPDATE models SET state = $4, reason = $5, version = version + 1, account = $6, session_number = $7, session_ends_at = $8,
       refresh_due_at = $9, refresh_failures = $10, was_connected = $11, claimed_until = NULL, updated_at = clock_timestamp()
 WHERE model_id = $1 AND org_id = $2 AND version = $3 RETURNING version;

-- name: keep_credentials
-- Put sealed credentials into the vault (NULL wipes them).
INSERT INTO vault (model_id, org_id, credentials) VALUES ($1, $2, $3)
ON CONFLICT (model_id) DO UPDATE SET credentials = excluded.credentials WHERE vault.org_id = excluded.org_id;

-- name: keep_session
-- Put a sealed session into the vault (NULL wipes it).
INSERT INTO vault (model_id, org_id, session) VALUES ($1, $2, $3)
ON CONFLICT (model_id) DO UPDATE SET session = excluded.session WHERE vault.org_id = excluded.org_id;

-- name: keep_pending
-- Put a sealed half-done sign-in into the vault (NULL wipes it).
INSERT INTO vault (model_id, org_id, pending) VALUES ($1, $2, $3)
ON CONFLICT (model_id) DO UPDATE SET pending = excluded.pending WHERE vault.org_id = excluded.org_id;

-- name: changed_models
-- Which models changed in the last seconds: what the caches of this process must look at again.
SELECT model_id, version FROM models WHERE updated_at > clock_timestamp() - make_interval(secs => $1);

-- name: list_models
-- All models of an organization, oldest first.
SELECT * FROM models WHERE org_id = $1 AND state <> 'deleted' ORDER BY created_at, model_id;

-- name: organization_of_model
-- Whose model this is: for the operator, who names models only.
SELECT org_id FROM models WHERE model_id = $1 AND state <> 'deleted';

-- name: count_states
-- How many models are in each state.
SELECT state, count(*) AS models FROM models GROUP BY state;

-- name: claim_due
-- Models whose session is to be renewed now and whose renewal nobody has enqueued yet, oldest first.
UPDATE models SET claimed_until = now() + make_interval(secs => $2)
 WHERE model_id IN (SELECT model_id FROM models
                     WHERE state = 'connected' AND refresh_due_at <= now() AND (claimed_until IS NULL OR claimed_until < now())
                     ORDER BY refresh_due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING model_id, org_id, session_number;

-- name: count_overdue
-- Connected models whose session should have been renewed a while ago, in seconds.
SELECT count(*) FROM models WHERE state = 'connected' AND refresh_due_at < now() - make_interval(secs => $1);

-- name: claim_stuck
-- Models that have been on their way for too long: their job was lost, or its worker died.
UPDATE models SET claimed_until = now() + make_interval(secs => $2)
 WHERE model_id IN (SELECT model_id FROM models
                     WHERE state IN ('connecting', 'refreshing') AND updated_at < now() - make_interval(secs => $2)
                       AND (claimed_until IS NULL OR claimed_until < now())
                       AND NOT EXISTS (SELECT FROM connect_links -- somebody may still be typing
                                        WHERE connect_links.model_id = models.model_id AND used_at IS NULL
                                          AND attempts = 0 AND expires_at > now())
                     ORDER BY updated_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING model_id, org_id, state;

-- name: start_call
-- The fence: a row exactly once per call.
INSERT INTO upstream_calls (call_id, org_id, model_id, route, state) VALUES ($1, $2, $3, $4, 'started')
ON CONFLICT DO NOTHING RETURNING true;

-- name: find_call
-- How a call that was started before ended.
SELECT state, outcome, body FROM upstream_calls WHERE call_id = $1 AND org_id = $2;

-- name: finish_call
-- Record the end of a call; an end that is recorded stays.
UPDATE upstream_calls SET state = 'finished', outcome = $2, body = $3, finished_at = now()
 WHERE call_id = $1 AND state = 'started';

-- name: close_started
-- Calls that nobody finished: their outcome will never be known.
UPDATE upstream_calls SET state = 'unknown', finished_at = now()
 WHERE state = 'started' AND started_at < now() - make_interval(secs => $1);

-- name: drop_bodies
-- Answers that no redelivery will ask for any more.
UPDATE upstream_calls SET body = NULL WHERE body IS NOT NULL AND started_at < now() - make_interval(secs => $1);

-- name: drop_calls
-- Calls out of memory, some at a time.
DELETE FROM upstream_calls WHERE call_id IN
  (SELECT call_id FROM upstream_calls WHERE started_at < now() - make_interval(secs => $1) LIMIT $2);

-- name: sealed_rows
-- The vault by and by, for rewrapping under a new key.
SELECT model_id, org_id, credentials, session, pending FROM vault WHERE model_id > $1 ORDER BY model_id LIMIT $2 FOR UPDATE;

-- name: rewrap_row
-- Replace the sealed values of a row by the same values under another key.
UPDATE vault SET credentials = $2, session = $3, pending = $4 WHERE model_id = $1;

-- name: show_model
-- A model as its users see it.
SELECT * FROM models WHERE model_id = $1 AND org_id = $2 AND state <> 'deleted' AND ($3 = '' OR provider = $3);

-- name: page_models
-- Models of an organization, newest first (the ids rise with time), from below an id.
SELECT * FROM models
 WHERE org_id = $1 AND state <> 'deleted' AND ($2::uuid IS NULL OR model_id < $2) AND ($3 = '' OR provider = $3)
   AND ($5::uuid IS NULL OR model_id = $5)
 ORDER BY model_id DESC LIMIT $4;

-- name: rename_model
-- Another label. No new version: nothing but the list shows it.
UPDATE models SET label = $3, updated_at = clock_timestamp() WHERE model_id = $1 AND org_id = $2 AND state <> 'deleted'
RETURNING true;

-- name: drop_links
-- A model's links, all of them.
DELETE FROM connect_links WHERE model_id = $1 AND org_id = $2;

-- name: add_link
-- A link for a model.
INSERT INTO connect_links (digest, org_id, model_id, expires_at) VALUES ($1, $2, $3, $4);

-- name: use_links
-- The model was connected: its open links are used.
UPDATE connect_links SET used_at = now() WHERE model_id = $1 AND org_id = $2 AND used_at IS NULL;

-- name: find_link
-- A link that has not expired at a time, by its digest or by the consent begun behind it, with what its page shows.
SELECT connect_links.*, models.state, models.reason, models.label, models.provider,
       vault.credentials IS NOT NULL OR vault.pending IS NOT NULL AS has_credentials
  FROM connect_links JOIN models USING (org_id, model_id) LEFT JOIN vault USING (org_id, model_id)
 WHERE (digest = $1 OR consent = $3) AND expires_at > $2 AND models.state <> 'deleted';

-- name: begin_consent
-- A browser is sent to the platform behind a link; whoever was sent there before comes back in vain.
UPDATE connect_links SET consent = $2, problem = '' WHERE digest = $1;

-- name: take_consent
-- The browser is back, which happens once; no row = it was here before, or another took its place.
UPDATE connect_links SET consent = NULL, problem = $2 WHERE consent = $1 RETURNING true;

-- name: take_attempt
-- One more form of an open link; no row = the link is closed, or was tried too often.
UPDATE connect_links SET attempts = attempts + 1
 WHERE digest = $1 AND used_at IS NULL AND expires_at > $2 AND attempts < $3 RETURNING attempts;

-- name: drop_old_links
-- Links that nobody can use any more.
DELETE FROM connect_links WHERE expires_at < now() - make_interval(secs => $1);
