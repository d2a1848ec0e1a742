-- Digests and password hashes only: who reads this file can log in as nobody.

CREATE TABLE person (
    name TEXT PRIMARY KEY,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'responder', 'admin')),
    password TEXT NOT NULL,
    created REAL NOT NULL,
    disabled INTEGER NOT NULL,
    must_change INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- At most one row: whoever has the token with this digest makes the first user.
CREATE TABLE setup (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    digest TEXT NOT NULL,
    expires REAL NOT NULL
) STRICT;

CREATE TABLE session (
    digest TEXT PRIMARY KEY,
    person TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    created REAL NOT NULL,
    last_used REAL NOT NULL,
    expires REAL NOT NULL,
    idle_seconds REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX session_person ON session (person);

CREATE TABLE token (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'responder', 'admin')),
    owner TEXT NOT NULL REFERENCES person (name) ON DELETE CASCADE,
    created REAL NOT NULL,
    expires REAL,
    last_used REAL
) STRICT;

CREATE INDEX token_owner ON token (owner);

-- Logins that were let through, by a digest of what is throttled: names at a login may be long.
CREATE TABLE login (
    key TEXT NOT NULL,
    time REAL NOT NULL
) STRICT;

CREATE INDEX login_key ON login (key, time);
CREATE INDEX login_time ON login (time);

CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX note_time ON note (time);
CREATE INDEX note_who ON note (who, id);

CREATE TRIGGER note_stays BEFORE UPDATE ON note BEGIN
    SELECT raise(ABORT, 'what people did is not rewritten');
END;
