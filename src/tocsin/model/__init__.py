"""Plain data that every stage shares: the event, the alert, errors. Imports nothing of ours."""
