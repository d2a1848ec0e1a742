-- Minutes are counted since the epoch. Triggers keep the counts right whoever changes alerts.

-- The ids of the alert's ATT&CK techniques, with a blank before and after each.
ALTER TABLE alert ADD COLUMN techniques TEXT NOT NULL DEFAULT '';

UPDATE alert SET techniques = (
    SELECT ifnull(' ' || group_concat(json_extract(value, '$.technique'), ' ') || ' ', '')
    FROM json_each(alert.body, '$.rule.attack'))
WHERE json_valid(body) AND json_type(body, '$.rule.attack') = 'array';

ALTER TABLE alert ADD COLUMN minute INTEGER
    AS (ifnull(CAST(strftime('%s', substr(time, 1, 16)) AS INTEGER) / 60, 0)) VIRTUAL;

-- Each index holds all that a filter may ask for, so that only what is shown is fetched.
DROP INDEX alert_time;
DROP INDEX alert_rule;
DROP INDEX alert_user;
DROP INDEX alert_namespace;
CREATE INDEX alert_time
    ON alert (time, severity, cluster, rule_id, user, namespace, techniques);
CREATE INDEX alert_rule
    ON alert (rule_id, time, severity, cluster, user, namespace, techniques);
CREATE INDEX alert_user
    ON alert (user, time, severity, cluster, rule_id, namespace, techniques);
CREATE INDEX alert_namespace
    ON alert (namespace, time, severity, cluster, rule_id, user, techniques);

-- Alerts by minute (`span` 1) and by hour (`span` 60); `minute` is the first one of the span.
CREATE TABLE alert_count (
    span INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    severity INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (span, minute, cluster, severity)
) STRICT, WITHOUT ROWID;

INSERT INTO alert_count (span, minute, cluster, severity, count)
SELECT 1, minute, cluster, severity, count(*) FROM alert GROUP BY minute, cluster, severity;

INSERT INTO alert_count (span, minute, cluster, severity, count)
SELECT 60, minute - minute % 60, cluster, severity, sum(count) FROM alert_count
GROUP BY minute - minute % 60, cluster, severity;

CREATE TRIGGER alert_counted AFTER INSERT ON alert BEGIN
    INSERT INTO alert_count (span, minute, cluster, severity, count)
    VALUES (1, new.minute, new.cluster, new.severity, 1),
        (60, new.minute - new.minute % 60, new.cluster, new.severity, 1)
    ON CONFLICT (span, minute, cluster, severity) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER alert_discounted AFTER DELETE ON alert BEGIN
    UPDATE alert_count SET count = count - 1
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity;
    DELETE FROM alert_count
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity AND count <= 0;
END;

CREATE TRIGGER alert_recounted AFTER UPDATE OF time, cluster, severity ON alert
WHEN (old.time, old.cluster, old.severity) IS NOT (new.time, new.cluster, new.severity) BEGIN
    UPDATE alert_count SET count = count - 1
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity;
    DELETE FROM alert_count
    WHERE (span, minute) IN (VALUES (1, old.minute), (60, old.minute - old.minute % 60))
        AND cluster = old.cluster AND severity = old.severity AND count <= 0;
    INSERT INTO alert_count (span, minute, cluster, severity, count)
    VALUES (1, new.minute, new.cluster, new.severity, 1),
        (60, new.minute - new.minute % 60, new.cluster, new.severity, 1)
    ON CONFLICT (span, minute, cluster, severity) DO UPDATE SET count = count + 1;
END;

-- Events received, whether they raised alerts or not.
CREATE TABLE event_minute (
    minute INTEGER NOT NULL,
    cluster TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (minute, cluster)
) STRICT, WITHOUT ROWID;

-- The full-text index knows the alerts up to the position of the reader `text` and is brought
-- up to date in small steps, apart from the recording of alerts. It holds which threes of
-- characters a text has, not where: what it finds is looked through before it is shown.
CREATE VIRTUAL TABLE alert_text USING fts5(
    body, content = 'alert', content_rowid = 'seq', tokenize = 'trigram', detail = none,
    columnsize = 0);

-- Texts that the index knows and that are no longer the alert's: they have to leave it.
CREATE TABLE alert_text_stale (
    seq INTEGER PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TRIGGER alert_text_replaced AFTER UPDATE OF body ON alert
WHEN old.body IS NOT new.body
    AND old.seq <= (SELECT position FROM cursor WHERE reader = 'text') BEGIN
    INSERT INTO alert_text_stale (seq, body) VALUES (old.seq, old.body)
    ON CONFLICT (seq) DO NOTHING;
END;

CREATE TRIGGER alert_text_gone AFTER DELETE ON alert
WHEN old.seq <= (SELECT position FROM cursor WHERE reader = 'text') BEGIN
    INSERT INTO alert_text_stale (seq, body) VALUES (old.seq, old.body)
    ON CONFLICT (seq) DO NOTHING;
END;
