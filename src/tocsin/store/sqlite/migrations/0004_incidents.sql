-- Incidents. `summary` is what grouping remembers of its alerts, `body` what is shown; both are
-- JSON. The columns state to pinned are what people decided; the rest is derived from alerts.
-- Times of activity are text like those of alerts, opened and updated seconds since the epoch.

CREATE TABLE incident (
    id TEXT PRIMARY KEY,
    cluster TEXT NOT NULL,
    severity INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'contained', 'closed')),
    verdict TEXT CHECK (verdict IN ('true-positive', 'false-positive', 'benign')),
    owner TEXT,
    pinned INTEGER NOT NULL DEFAULT 0,
    first_seen TEXT NOT NULL,
    last_seen TEXT NOT NULL,
    opened REAL NOT NULL,
    updated REAL NOT NULL,
    alerts INTEGER NOT NULL,
    unproven INTEGER NOT NULL DEFAULT 0,
    summary TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

-- Rows are long: these hold all that filters ask for.
CREATE INDEX incident_last_seen ON incident (last_seen, id, first_seen, severity, state, cluster);
CREATE INDEX incident_state ON incident (state, severity);
CREATE INDEX incident_updated ON incident (updated);

-- An alert that opens incidents is in one; a fact that is mere context may be in several.
CREATE TABLE incident_alert (
    incident TEXT NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    alert_seq INTEGER NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
    PRIMARY KEY (incident, alert_seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_alert_seq ON incident_alert (alert_seq, incident);

-- When alerts of an incident had a link (a digest of, for instance, "actor alice"). Alerts of
-- one link that are further apart than grouping looks are in separate rows.
CREATE TABLE incident_span (
    id INTEGER PRIMARY KEY,
    link BLOB NOT NULL,
    incident TEXT NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    first REAL NOT NULL,
    last REAL NOT NULL
) STRICT;

CREATE INDEX incident_span_link ON incident_span (link, last);
CREATE INDEX incident_span_incident ON incident_span (incident);

-- The links of facts, for incidents that open or grow after them.
CREATE TABLE incident_fact (
    link BLOB NOT NULL,
    time REAL NOT NULL,
    alert_seq INTEGER NOT NULL REFERENCES alert (seq) ON DELETE CASCADE,
    PRIMARY KEY (link, time, alert_seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_fact_alert ON incident_fact (alert_seq);

-- Former ids, each with the incident that the one was merged into.
CREATE TABLE incident_alias (
    id TEXT PRIMARY KEY,
    incident TEXT NOT NULL REFERENCES incident (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX incident_alias_incident ON incident_alias (incident);

CREATE TABLE incident_log (
    id INTEGER PRIMARY KEY,
    incident TEXT NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    time REAL NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX incident_log_incident ON incident_log (incident, id);

-- An alert that was found again in events of an authenticated sender is no longer unproven.
CREATE TRIGGER incident_alert_proven AFTER UPDATE OF authenticated ON alert
WHEN NEW.authenticated > OLD.authenticated BEGIN
    UPDATE incident SET unproven = unproven - 1
    WHERE id IN (SELECT incident FROM incident_alert WHERE alert_seq = NEW.seq);
END;
