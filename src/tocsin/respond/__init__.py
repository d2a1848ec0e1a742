"""Act on the cluster: plan, guard, approve, snapshot, dry run, act, verify, journal, undo.

Responses fail closed and run at most once per target; every step is journalled before it is
taken.
"""
