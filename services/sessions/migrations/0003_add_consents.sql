-- Platforms that ask their users for consent: which browser was sent there behind a link, and what it came back with.

ALTER TABLE connect_links
  ADD COLUMN consent bytea UNIQUE CHECK (length(consent) = 32),  -- SHA-256 over state and the browser's secret; used once
  ADD COLUMN problem text NOT NULL DEFAULT '';                   -- why the last try ended before it reached the model
