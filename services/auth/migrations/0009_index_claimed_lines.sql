-- How many requests to an endpoint are under way is asked with every claim: not by looking at all that waits for it.
CREATE INDEX webhook_lines_claimed ON webhook_lines (webhook_id, claimed_until) WHERE claimed_until IS NOT NULL;
