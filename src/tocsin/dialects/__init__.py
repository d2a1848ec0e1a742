"""Rule languages: source text in, `rules.ir` out; nothing else."""
