"""Rules about several events: counts, sequences, first times. Bounded state in event time."""
