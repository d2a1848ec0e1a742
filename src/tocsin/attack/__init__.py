"""MITRE ATT&CK(R) as data: what technique ids mean."""
