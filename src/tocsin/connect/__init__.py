"""Connect a cluster: everything an API server needs to send its audit events here.

Tocsin's own certificate authority, credentials per cluster, the webhook kubeconfig, the
API server's flags and the change for kubeadm. It makes files and edits nothing on a system.
"""
