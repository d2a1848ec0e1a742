"""Events in, alerts out: pure, no clock, no I/O.

Correlations will sit beside `engine` as `correlation`: `match` is stateless already, and
state in event time will enter through one interface, checkpointed with the reader's cursor.
"""
