"""Search of the events that the spool retains."""
