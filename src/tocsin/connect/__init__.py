"""Connect a cluster: everything an API server needs to send its audit events here.

Tocsin's own certificate authority, credentials per cluster, the webhook kubeconfig, the
API server's flags, and each distribution's own way to them. It makes files; only `apply`
edits a node, by leave.
"""
