-- Responses as the responder's journal tells them, for people to look at: the journal is the truth,
-- and all of this can be made of it again.
CREATE TABLE response (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    cluster TEXT NOT NULL,
    action TEXT NOT NULL,
    alert TEXT NOT NULL,
    updated REAL NOT NULL,
    body TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX response_updated ON response (updated, id);
CREATE INDEX response_state ON response (state, updated, id);
CREATE INDEX response_alert ON response (alert);

-- Lines of the journal. The last one is kept whatever its age: from it a shortened journal shows.
CREATE TABLE response_entry (
    seq INTEGER PRIMARY KEY,
    response TEXT NOT NULL,
    time REAL NOT NULL,
    code TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX response_entry_response ON response_entry (response, seq);

-- What people ask of the responder.
CREATE TABLE response_order (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Audit events of the responder's own requests. Both legs may bring the same one.
CREATE TABLE response_proof (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    audit_id TEXT NOT NULL,
    added REAL NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (audit_id, body)
) STRICT;

-- How far the responder got in alerts, orders and proofs.
CREATE TABLE response_position (
    name TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
