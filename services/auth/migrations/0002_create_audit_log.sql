-- Who did what, when, from where: written in the transaction of the change itself, never changed afterwards.

ALTER TABLE keys ADD CONSTRAINT keys_in_organization UNIQUE (org_id, key_id);

CREATE TABLE audit_log (
  entry_id  uuid PRIMARY KEY,                   -- UUIDv7: the order of the log
  org_id    uuid NOT NULL REFERENCES organizations,
  at        timestamptz NOT NULL DEFAULT now(),
  action    text NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
  object_id uuid,
  actor     text NOT NULL CHECK (actor IN ('key', 'operator')),
  key_id    uuid,
  user_id   uuid,
  address   text NOT NULL DEFAULT '',           -- the client's, as the edge saw it
  details   jsonb NOT NULL DEFAULT '{}',        -- facts, never secrets
  FOREIGN KEY (org_id, key_id) REFERENCES keys (org_id, key_id),
  CHECK ((actor = 'key') = (key_id IS NOT NULL))
);
CREATE INDEX audit_of_organization ON audit_log (org_id, entry_id);

-- A second belt beside the missing rights: not even the owner edits history by accident.
CREATE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only appended to' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER audit_log_guard BEFORE UPDATE OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_guard();
CREATE TRIGGER audit_log_guard_all BEFORE TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_guard();

-- Roles end like everything else; revoked keys go on naming theirs. A removed role's name is free again.
ALTER TABLE roles ADD COLUMN removed_at timestamptz;
ALTER TABLE roles ADD CHECK (NOT is_built_in OR removed_at IS NULL);
DROP INDEX roles_name_once;
CREATE UNIQUE INDEX roles_name_once ON roles (org_id, lower(name)) WHERE removed_at IS NULL;
CREATE INDEX keys_of_role ON keys (org_id, role_id) WHERE revoked_at IS NULL;

GRANT SELECT, INSERT ON audit_log TO auth_app;
