"""Bytes in: authenticated, durable, acknowledged; unparsed until then."""
