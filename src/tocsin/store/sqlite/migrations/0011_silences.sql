-- Alerts that were suppressed or silenced are kept, with what hid them: `suppress`, or
-- `silence:` and its number.
ALTER TABLE alert ADD COLUMN hidden_by TEXT;

-- As before, each index holds all that a filter may ask for.
DROP INDEX alert_time;
DROP INDEX alert_rule;
DROP INDEX alert_user;
DROP INDEX alert_namespace;
CREATE INDEX alert_time
    ON alert (time, severity, cluster, rule_id, user, namespace, techniques, hidden_by);
CREATE INDEX alert_rule
    ON alert (rule_id, time, severity, cluster, user, namespace, techniques, hidden_by);
CREATE INDEX alert_user
    ON alert (user, time, severity, cluster, rule_id, namespace, techniques, hidden_by);
CREATE INDEX alert_namespace
    ON alert (namespace, time, severity, cluster, rule_id, user, techniques, hidden_by);

-- Counts by minute and hour tell hidden alerts from others.
DROP TRIGGER alert_counted;
DROP TRIGGER alert_discounted;
DROP TRIGGER alert_recounted;
ALTER TABLE alert_count RENAME TO alert_count_former;
CREATE TABLE alert_count (
    span INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    severity INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (span, minute, cluster, severity, hidden)
) STRICT, WITHOUT ROWID;

INSERT INTO alert_count (span, minute, cluster, severity, hidden, count)
SELECT span, minute, cluster, severity, 0, count FROM alert_count_former;

DROP TABLE alert_count_former;

CREATE TRIGGER alert_counted AFTER INSERT ON alert BEGIN
    INSERT INTO alert_count (span, minute, cluster, severity, hidden, count)
    VALUES (1, new.minute, new.cluster, new.severity, new.hidden_by IS NOT NULL, 1),
        (60, new.minute - new.minute % 60, new.cluster, new.severity,
            new.hidden_by IS NOT NULL, 1)
    ON CONFLICT (span, minute, cluster, severity, hidden) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER alert_discounted AFTER DELETE ON alert BEGIN
    UPDATE alert_count SET count = count - 1
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity
        AND hidden = (old.hidden_by IS NOT NULL);
    DELETE FROM alert_count
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity
        AND hidden = (old.hidden_by IS NOT NULL) AND count <= 0;
END;

-- What hid an alert never changes.
CREATE TRIGGER alert_recounted AFTER UPDATE OF time, cluster, severity ON alert
WHEN (old.time, old.cluster, old.severity) IS NOT (new.time, new.cluster, new.severity) BEGIN
    UPDATE alert_count SET count = count - 1
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity
        AND hidden = (old.hidden_by IS NOT NULL);
    DELETE FROM alert_count
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity
        AND hidden = (old.hidden_by IS NOT NULL) AND count <= 0;
    INSERT INTO alert_count (span, minute, cluster, severity, hidden, count)
    VALUES (1, new.minute, new.cluster, new.severity, new.hidden_by IS NOT NULL, 1),
        (60, new.minute - new.minute % 60, new.cluster, new.severity,
            new.hidden_by IS NOT NULL, 1)
    ON CONFLICT (span, minute, cluster, severity, hidden) DO UPDATE SET count = count + 1;
END;

-- Silences. `matcher` is JSON; times are seconds since the epoch.
CREATE TABLE silence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    matcher TEXT NOT NULL,
    owner TEXT NOT NULL,
    reason TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    ended REAL,
    ended_by TEXT
) STRICT;

CREATE INDEX silence_active ON silence (expires) WHERE ended IS NULL;

-- How much was hidden so far, whether the alerts are still kept or not.
CREATE TABLE hidden_count (
    hidden_by TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    count INTEGER NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (hidden_by, rule_id)
) STRICT, WITHOUT ROWID;
