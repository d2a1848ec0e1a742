"""Where the stages meet: configuration, wiring, processes, metrics."""
