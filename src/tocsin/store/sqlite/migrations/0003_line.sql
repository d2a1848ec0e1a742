-- What was heard of each API server: `state` is JSON for sources, the lifeline's own form for
-- nodes. A node that the sender does not name is the empty text. Times are seconds since the epoch.

CREATE TABLE source (
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    source TEXT NOT NULL,
    updated REAL NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (cluster, node, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE node (
    cluster TEXT NOT NULL,
    node TEXT NOT NULL,
    updated REAL NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (cluster, node)
) STRICT;

CREATE TABLE canary (
    cluster TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    sent REAL NOT NULL,
    heard REAL NOT NULL
) STRICT;

-- `kind` is a JSON array: verb, API group, resource, subresource, audit level.
CREATE TABLE observation (
    cluster TEXT NOT NULL,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (cluster, kind)
) STRICT, WITHOUT ROWID;

-- What the watcher remembers of a cluster's API servers' own counters, as JSON.
CREATE TABLE probe (
    cluster TEXT PRIMARY KEY,
    updated REAL NOT NULL,
    state TEXT NOT NULL
) STRICT;
