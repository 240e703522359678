-- Organizations with their users, roles and keys. Every reference carries the organization, so that a row of one can never
-- point into another. Nothing here is deleted: states and dates end things.

CREATE TABLE organizations (
  org_id               uuid PRIMARY KEY,
  name                 text NOT NULL CHECK (name <> ''),
  state                text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'deleted')),
  is_sandbox           boolean NOT NULL DEFAULT false,
  read_only            boolean NOT NULL DEFAULT false,
  features             text[] NOT NULL DEFAULT '{}',
  av                   bigint NOT NULL DEFAULT 1 CHECK (av > 0),  -- auth version: rises with every change of a principal
  -- billing's word on the plan; version 0 = it has not said anything
  subscription_version bigint NOT NULL DEFAULT 0 CHECK (subscription_version >= 0),
  plan                 text NOT NULL DEFAULT '',
  subscription         text NOT NULL DEFAULT 'none' CHECK (subscription IN ('none', 'active', 'past_due', 'cancelled')),
  per_minute           integer NOT NULL DEFAULT 1000 CHECK (per_minute >= 0),
  per_day              integer NOT NULL DEFAULT 50000 CHECK (per_day >= 0),
  period_start         timestamptz,
  period_end           timestamptz,
  created_at           timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE roles (
  role_id     uuid PRIMARY KEY,
  org_id      uuid NOT NULL REFERENCES organizations,
  name        text NOT NULL CHECK (name <> ''),
  is_built_in boolean NOT NULL DEFAULT false,  -- what it grants is decided by the code, not stored
  permissions text[] NOT NULL DEFAULT '{}',
  created_at  timestamptz NOT NULL DEFAULT now(),
  UNIQUE (org_id, role_id),
  CHECK (NOT is_built_in OR permissions = '{}')
);
CREATE UNIQUE INDEX roles_name_once ON roles (org_id, lower(name));

CREATE TABLE users (
  user_id    uuid PRIMARY KEY,
  org_id     uuid NOT NULL REFERENCES organizations,
  email      text NOT NULL CHECK (email <> ''),
  role_id    uuid NOT NULL,
  state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'removed')),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (org_id, user_id),
  FOREIGN KEY (org_id, role_id) REFERENCES roles (org_id, role_id)
);
CREATE UNIQUE INDEX users_email_once ON users (lower(email)) WHERE state <> 'removed';

CREATE TABLE keys (
  key_id         uuid PRIMARY KEY,
  org_id         uuid NOT NULL REFERENCES organizations,
  kind           text NOT NULL CHECK (kind IN ('organization', 'sandbox', 'personal')),
  digest         bytea NOT NULL UNIQUE CHECK (length(digest) = 32),  -- HMAC-SHA256 of the key under `pepper`
  pepper         text NOT NULL,
  start          text NOT NULL CHECK (length(start) = 8),
  label          text NOT NULL CHECK (label <> ''),
  role_id        uuid,
  scopes         text[],
  user_id        uuid,
  model_id       uuid,
  api_version    text,
  key_per_minute integer CHECK (key_per_minute > 0),
  read_only      boolean NOT NULL DEFAULT false,
  created_at     timestamptz NOT NULL,
  expires_at     timestamptz,
  revoked_at     timestamptz,
  last_used_at   timestamptz,
  FOREIGN KEY (org_id, role_id) REFERENCES roles (org_id, role_id),
  FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, user_id),
  CONSTRAINT keys_role_or_scopes CHECK (
    CASE kind WHEN 'personal' THEN user_id IS NOT NULL AND scopes IS NOT NULL AND role_id IS NULL
              ELSE role_id IS NOT NULL AND scopes IS NULL AND user_id IS NULL END)
);
CREATE INDEX keys_of_organization ON keys (org_id, key_id);
CREATE UNIQUE INDEX keys_one_personal ON keys (user_id) WHERE kind = 'personal' AND revoked_at IS NULL;

-- What must stay as it was issued. A second belt: no statement of the service tries.
CREATE FUNCTION keys_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.key_id, NEW.org_id, NEW.kind) IS DISTINCT FROM (OLD.key_id, OLD.org_id, OLD.kind) THEN
    RAISE EXCEPTION 'a key keeps its organization and its kind' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.kind = 'personal' AND (NEW.user_id, NEW.scopes) IS DISTINCT FROM (OLD.user_id, OLD.scopes) THEN
    RAISE EXCEPTION 'a personal key keeps its user and its scopes' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at THEN
    RAISE EXCEPTION 'a revoked key stays revoked' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER keys_guard BEFORE UPDATE ON keys FOR EACH ROW EXECUTE FUNCTION keys_guard();

CREATE FUNCTION organizations_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.av < OLD.av OR NEW.subscription_version < OLD.subscription_version THEN
    RAISE EXCEPTION 'a version only rises' USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.state = 'deleted' AND NEW.state <> 'deleted' THEN
    RAISE EXCEPTION 'a deleted organization stays deleted' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER organizations_guard BEFORE UPDATE ON organizations FOR EACH ROW EXECUTE FUNCTION organizations_guard();

GRANT SELECT, INSERT, UPDATE ON organizations, users, roles TO auth_app;
GRANT SELECT, INSERT ON keys TO auth_app;
GRANT UPDATE (digest, pepper, label, role_id, key_per_minute, expires_at, revoked_at, last_used_at) ON keys TO auth_app;
