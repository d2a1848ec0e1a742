-- 0: found in events that nobody vouched for, whose sender was let in without a credential.
ALTER TABLE alert ADD COLUMN authenticated INTEGER NOT NULL DEFAULT 1;
