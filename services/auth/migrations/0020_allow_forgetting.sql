-- What is kept only for a while (docs/data.md): e-mails of removed users, links of invitations, counts of versions.
-- The number leaves room: forgetting goes with whatever the schema holds by then.

ALTER TABLE users ADD COLUMN removed_at timestamptz;
UPDATE users SET removed_at = now() WHERE state = 'removed';

CREATE FUNCTION users_note_removal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'removed' AND OLD.state <> 'removed' THEN
    NEW.removed_at := now();
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER users_note_removal BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION users_note_removal();
CREATE INDEX users_to_forget ON users (removed_at) WHERE state = 'removed' AND email <> 'removed';
CREATE INDEX invitations_by_age ON invitations (expires_at);

GRANT DELETE ON invitations, version_calls TO auth_app;
