-- One-time links behind which a user types what a model signs in with. Only the digest of a link's token is kept.

CREATE TABLE connect_links (
  digest     bytea PRIMARY KEY CHECK (length(digest) = 32),  -- SHA-256 of the token
  org_id     uuid NOT NULL,
  model_id   uuid NOT NULL,
  expires_at timestamptz NOT NULL,
  attempts   integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),  -- forms sent
  used_at    timestamptz,                                       -- the model was connected behind it
  created_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (org_id, model_id) REFERENCES models (org_id, model_id)
);
CREATE INDEX connect_links_of_model ON connect_links (model_id);
CREATE INDEX connect_links_age ON connect_links (expires_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON connect_links TO sessions_app;
