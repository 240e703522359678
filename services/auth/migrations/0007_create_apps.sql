-- Apps of third parties, what users granted to them, and the tokens that follow from a grant. An app belongs to the organization
-- of whoever made it; a grant belongs to the organization of the user who gave it, whose auth version rises when it ends.

CREATE TABLE apps (
  app_id          uuid PRIMARY KEY,                -- the client id too
  org_id          uuid NOT NULL REFERENCES organizations,
  user_id         uuid NOT NULL,                   -- who answers for it
  name            text NOT NULL CHECK (name <> ''),
  is_confidential boolean NOT NULL,                -- whether it can keep a secret
  stage           text NOT NULL DEFAULT 'development' CHECK (stage IN ('development', 'production')),
  redirect_uris   text[] NOT NULL CHECK (cardinality(redirect_uris) BETWEEN 1 AND 10),
  webhook_urls    text[] NOT NULL DEFAULT '{}' CHECK (cardinality(webhook_urls) <= 10),
  state           text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'deleted')),
  created_at      timestamptz NOT NULL,
  UNIQUE (org_id, app_id),
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id)
);
CREATE INDEX apps_of_organization ON apps (org_id, created_at, app_id);
CREATE INDEX apps_of_user ON apps (user_id) WHERE state <> 'deleted';

CREATE FUNCTION apps_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'deleted' AND NEW.state <> 'deleted' THEN
    RAISE EXCEPTION 'a deleted app stays deleted' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER apps_guard BEFORE UPDATE ON apps FOR EACH ROW EXECUTE FUNCTION apps_guard();

-- Two may live while one takes the other's place; an app that cannot keep a secret has none.
CREATE TABLE app_secrets (
  secret_id  uuid PRIMARY KEY,
  app_id     uuid NOT NULL,
  org_id     uuid NOT NULL,
  digest     bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- HMAC-SHA256 of the secret under `pepper`
  pepper     text NOT NULL,
  start      text NOT NULL CHECK (length(start) = 8),
  created_at timestamptz NOT NULL,
  expires_at timestamptz,                                        -- null: until another takes its place
  FOREIGN KEY (org_id, app_id) REFERENCES apps (org_id, app_id)
);
CREATE INDEX app_secrets_of_app ON app_secrets (app_id);

-- Domains that an app's owner has shown to control, and those where the proof is still wanted.
CREATE TABLE app_domains (
  app_id      uuid NOT NULL,
  org_id      uuid NOT NULL,
  domain      text NOT NULL CHECK (domain = lower(domain) AND domain <> ''),
  token       text NOT NULL,                                     -- what is to be found there; public, but not to be guessed
  method      text CHECK (method IN ('dns', 'well_known')),      -- how it was shown; null: not yet
  created_at  timestamptz NOT NULL,
  verified_at timestamptz,
  PRIMARY KEY (app_id, domain),
  FOREIGN KEY (org_id, app_id) REFERENCES apps (org_id, app_id),
  CHECK ((method IS NULL) = (verified_at IS NULL))
);

CREATE TABLE grants (
  grant_id   uuid PRIMARY KEY,
  app_id     uuid NOT NULL REFERENCES apps,
  org_id     uuid NOT NULL,                        -- of the user who granted, not of the app
  user_id    uuid NOT NULL,
  model_id   uuid NOT NULL,
  scopes     text[] NOT NULL CHECK (cardinality(scopes) > 0),
  created_at timestamptz NOT NULL,
  revoked_at timestamptz,
  UNIQUE (org_id, grant_id),
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id)
);
CREATE UNIQUE INDEX grants_one_live ON grants (app_id, user_id, model_id) WHERE revoked_at IS NULL;
CREATE INDEX grants_of_organization ON grants (org_id, created_at, grant_id);
CREATE INDEX grants_of_app ON grants (app_id, org_id) WHERE revoked_at IS NULL;

-- What was granted stays as it was granted: other scopes are another grant.
CREATE FUNCTION grants_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.grant_id, NEW.app_id, NEW.org_id, NEW.user_id, NEW.model_id, NEW.scopes)
     IS DISTINCT FROM (OLD.grant_id, OLD.app_id, OLD.org_id, OLD.user_id, OLD.model_id, OLD.scopes) THEN
    RAISE EXCEPTION 'a grant stays as it was granted' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
    RAISE EXCEPTION 'a revoked grant stays revoked' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER grants_guard BEFORE UPDATE ON grants FOR EACH ROW EXECUTE FUNCTION grants_guard();

CREATE TABLE authorization_codes (
  digest       bytea PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256 of the code, which is 256 random bits
  code_id      uuid NOT NULL UNIQUE,                           -- the family of all tokens that come of it
  app_id       uuid NOT NULL REFERENCES apps,
  org_id       uuid NOT NULL,
  grant_id     uuid NOT NULL,
  redirect_uri text NOT NULL,
  challenge    text NOT NULL,                                  -- PKCE, S256
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
  used_at      timestamptz,
  FOREIGN KEY (org_id, grant_id) REFERENCES grants (org_id, grant_id)
);
CREATE INDEX authorization_codes_by_age ON authorization_codes (expires_at);

CREATE TABLE oauth_tokens (
  token_id    uuid PRIMARY KEY,
  kind        text NOT NULL CHECK (kind IN ('access', 'refresh')),
  digest      bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- HMAC-SHA256 of the token under `pepper`
  pepper      text NOT NULL,
  org_id      uuid NOT NULL,
  grant_id    uuid NOT NULL,
  family_id   uuid NOT NULL,                                      -- the code that it began with
  scopes      text[] NOT NULL CHECK (cardinality(scopes) > 0),    -- the grant's, or some of them
  created_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL CHECK (expires_at > created_at),
  replaced_at timestamptz,                                        -- a refresh token works once, and a moment longer
  ended_at    timestamptz,
  CHECK (kind = 'refresh' OR replaced_at IS NULL),
  FOREIGN KEY (org_id, grant_id) REFERENCES grants (org_id, grant_id)
);
CREATE UNIQUE INDEX oauth_tokens_one_refresh ON oauth_tokens (family_id)
  WHERE kind = 'refresh' AND replaced_at IS NULL AND ended_at IS NULL;
CREATE INDEX oauth_tokens_of_grant ON oauth_tokens (grant_id) WHERE ended_at IS NULL;
CREATE INDEX oauth_tokens_of_family ON oauth_tokens (family_id) WHERE ended_at IS NULL;
CREATE INDEX oauth_tokens_by_end ON oauth_tokens (expires_at);

GRANT SELECT, INSERT, UPDATE (name, stage, redirect_uris, webhook_urls, state) ON apps TO auth_app;
GRANT SELECT, INSERT, UPDATE (digest, pepper, expires_at) ON app_secrets TO auth_app;
GRANT SELECT, INSERT, UPDATE (method, verified_at) ON app_domains TO auth_app;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON grants TO auth_app;
GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON authorization_codes TO auth_app;
GRANT SELECT, INSERT, DELETE, UPDATE (replaced_at, ended_at) ON oauth_tokens TO auth_app;
