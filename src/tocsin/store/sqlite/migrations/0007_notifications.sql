-- The queue of what channels have to be told. A row of kind `alert` is made with its alert; the
-- other kinds are news of an incident that no alert brings. `topic` is what is told in one
-- message: `incident ID`, `rule CLUSTER ID` or `alert ID`; NULL until it is known.
ALTER TABLE outbox RENAME TO outbox_of_alerts;
DROP INDEX outbox_due;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_seq INTEGER REFERENCES alert (seq) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    topic TEXT,
    kind TEXT NOT NULL DEFAULT 'alert' CHECK (kind IN ('alert', 'worse', 'closed', 'repeat')),
    severity INTEGER NOT NULL,
    techniques TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead')),
    created REAL NOT NULL,
    next_try REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    CHECK (kind = 'alert' OR topic IS NOT NULL),
    CHECK (kind <> 'alert' OR alert_seq IS NOT NULL),
    UNIQUE (alert_seq, channel)
) STRICT;

INSERT INTO outbox
    (id, alert_seq, channel, severity, state, created, next_try, attempts, error)
SELECT
    outbox_of_alerts.id, alert_seq, channel, alert.severity, state, created, next_try, attempts,
    error
FROM outbox_of_alerts JOIN alert ON alert.seq = alert_seq;

DROP TABLE outbox_of_alerts;

CREATE INDEX outbox_topic ON outbox (channel, topic) WHERE state = 'pending';
CREATE UNIQUE INDEX outbox_news ON outbox (channel, topic, kind)
WHERE alert_seq IS NULL AND state = 'pending';

-- What each channel was last told of a topic: when, how bad it was, which techniques (separated
-- by spaces), and whether it knows that the incident is closed.
CREATE TABLE told (
    channel TEXT NOT NULL,
    topic TEXT NOT NULL,
    at REAL NOT NULL,
    severity INTEGER NOT NULL,
    techniques TEXT NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (channel, topic)
) STRICT, WITHOUT ROWID;

CREATE INDEX told_at ON told (at);
