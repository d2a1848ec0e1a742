"""`tocsin doctor`: look at the line from an API server to an alert, and say what is wrong with it.

Each module looks at one thing and returns findings. What it sees is read first and judged then,
so that the judging can be tried without a cluster.
"""
