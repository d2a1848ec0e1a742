"""Bytes in, events out: decoding, derived fields, redaction. Pure and bounded."""
