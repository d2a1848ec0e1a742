-- What detection remembers from event to event, by name, and the position in the spool up to
-- which it knows the events. The form of `state` is that of its owner.
CREATE TABLE checkpoint (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    state BLOB NOT NULL
) STRICT, WITHOUT ROWID;
