"""Is the line alive? What was heard when, what is missing, and the alerts that say so: pure."""
