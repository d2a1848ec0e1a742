"""Take over what people have: a webhook kubeconfig and an audit policy made for another receiver.

The files are told apart by their content and judged; they are never changed.
"""
