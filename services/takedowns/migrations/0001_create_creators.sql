-- Creators (rights holders on whose behalf notices are filed), their profiles, and the counters of what was submitted for them.
-- Every row carries its organization, directly or by its creator. What follows refers to a creator by `id`: 8 bytes in rows that
-- are many; callers know the `public_id` only.

CREATE TABLE creators (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id          uuid NOT NULL UNIQUE,
  org_id             uuid NOT NULL,
  model_id           uuid,                       -- the model that is the same person, where the organization connected one
  is_sandbox         boolean NOT NULL DEFAULT false,  -- registered with a sandbox key: nothing is ever mailed for it
  stage_name         text NOT NULL CHECK (stage_name <> ''),
  email              text NOT NULL CHECK (email <> ''),  -- as it was given
  email_key          text NOT NULL CHECK (email_key <> ''),  -- what makes two spellings one address
  legal_name         text,
  notification_email text,
  notes              text,                       -- of the organization; never leaves it
  authority_basis    text,                       -- what the authority to act rests on, e.g. the date of a signed letter
  authorized_at      timestamptz,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now(),
  deleted_at         timestamptz,                -- gone for its organization; personal data go 30 days later
  purged_at          timestamptz
);
-- A deleted creator's address may be registered again: as another creator, with a dedupe space of its own.
CREATE UNIQUE INDEX creators_email_once ON creators (org_id, email_key) WHERE deleted_at IS NULL;
CREATE INDEX creators_listed ON creators (org_id, id) WHERE deleted_at IS NULL;
CREATE INDEX creators_to_purge ON creators (deleted_at) WHERE deleted_at IS NOT NULL AND purged_at IS NULL;

CREATE TABLE creator_links (
  creator_id bigint NOT NULL REFERENCES creators,
  platform   text NOT NULL CHECK (platform IN ('onlyfans', 'fansly', 'fanvue', 'manyvids', 'chaturbate', 'stripchat', 'cam4',
               'bongacams', 'livejasmin', 'camsoda', 'patreon', 'twitter', 'instagram', 'tiktok', 'reddit', 'pornhub', 'xvideos',
               'xhamster', 'other')),
  handle     text NOT NULL CHECK (handle <> ''),
  handle_key text NOT NULL,                      -- case-folded
  pos        smallint NOT NULL,                  -- the order in which they were given
  PRIMARY KEY (creator_id, platform, handle_key)
);

-- Added to in the transaction of a submission, so that no listing ever counts rows; they survive the purge of a creator.
CREATE TABLE creator_stats (
  creator_id bigint PRIMARY KEY REFERENCES creators,
  total      bigint NOT NULL DEFAULT 0,
  new        bigint NOT NULL DEFAULT 0,
  duplicate  bigint NOT NULL DEFAULT 0,
  invalid    bigint NOT NULL DEFAULT 0,
  CHECK (total = new + duplicate + invalid)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE ON creators, creator_stats TO takedowns_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON creator_links TO takedowns_app;
GRANT SELECT ON creators, creator_links, creator_stats TO takedowns_read;
