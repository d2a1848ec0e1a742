"""From alerts to incidents: which alerts belong together, and what they tell together.

Pure: what was grouped before comes in and goes out through `tocsin.incidents.memory`.
"""
