"""The one rule representation, its reference meaning, and its compiler."""
