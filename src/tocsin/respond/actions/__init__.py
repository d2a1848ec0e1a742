"""Ways to change a cluster, one module each; `registry` has them by name."""
