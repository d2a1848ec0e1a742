-- An alert as its rule's own product writes it, one line of JSON: kept while that log is written.
CREATE TABLE form (
    alert_seq INTEGER PRIMARY KEY REFERENCES alert (seq) ON DELETE CASCADE,
    line TEXT NOT NULL
) STRICT;
