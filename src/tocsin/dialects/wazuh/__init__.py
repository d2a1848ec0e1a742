"""Wazuh 4: decoders and rules in Wazuh's XML, with the results of its analysis engine."""
