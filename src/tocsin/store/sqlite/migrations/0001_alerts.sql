-- Times of alerts are RFC 3339 text in UTC with six digits, so that text order is time order;
-- times of ours (recorded, created, ...) are seconds since the epoch.

CREATE TABLE alert (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    time TEXT NOT NULL,
    severity INTEGER NOT NULL,
    rule_id TEXT NOT NULL,
    cluster TEXT NOT NULL,
    user TEXT,
    namespace TEXT,
    recorded REAL NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Lists are in the order of the events' time, so each filter's index carries it. The first one
-- also answers for severity and cluster, which are too common to be worth their own.
CREATE INDEX alert_time ON alert (time, severity, cluster);
CREATE INDEX alert_rule ON alert (rule_id, time);
CREATE INDEX alert_user ON alert (user, time);
CREATE INDEX alert_namespace ON alert (namespace, time);
CREATE INDEX alert_recorded ON alert (recorded);

CREATE TABLE cursor (
    reader TEXT PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

-- What was sent is deleted; what was given up stays until its alert is pruned.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_seq INTEGER NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead')),
    created REAL NOT NULL,
    next_try REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    UNIQUE (alert_seq, channel)
) STRICT;

CREATE INDEX outbox_due ON outbox (channel, next_try) WHERE state = 'pending';

CREATE TABLE health (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    message TEXT NOT NULL,
    since REAL NOT NULL,
    last REAL NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (kind, key)
) STRICT;
