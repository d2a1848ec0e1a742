"""Rules for measuring with: 150 of the shapes that users' own rules have.

Most name verb and resource, as detections do; some look at every event (user agents,
addresses, users), some read bodies, some use patterns. Their texts hardly ever match.
"""

from collections.abc import Iterator

from tocsin.dialects.sigma import load_sigma
from tocsin.rules.ir import Rule

_RULE = """
title: bench {number}
name: bench-{number}
logsource: {{product: kubernetes, service: audit}}
level: low
detection:
  selection: {selection}
  known: {{user.username|startswith: ['system:kube-', 'system:node:', 'eks:']}}
  condition: selection{exclusion}
"""

_RESOURCES = [
    "pods",
    "deployments",
    "daemonsets",
    "statefulsets",
    "replicasets",
    "jobs",
    "cronjobs",
    "services",
    "endpoints",
    "ingresses",
    "networkpolicies",
    "roles",
    "clusterroles",
    "rolebindings",
    "clusterrolebindings",
    "secrets",
    "configmaps",
    "serviceaccounts",
    "namespaces",
    "nodes",
    "persistentvolumes",
    "storageclasses",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "customresourcedefinitions",
    "apiservices",
    "certificatesigningrequests",
    "leases",
    "events",
    "priorityclasses",
]
_CAPABILITIES = [
    "SYS_ADMIN",
    "SYS_PTRACE",
    "SYS_MODULE",
    "NET_ADMIN",
    "NET_RAW",
    "BPF",
    "DAC_READ_SEARCH",
    "ALL",
]
_IMAGES = [
    "xmrig",
    "kali",
    "netshoot",
    "peirates",
    "nmap",
    "masscan",
    "hydra",
    "sqlmap",
    "metasploit",
    "sliver",
]
_COMMANDS = [
    "nsenter",
    "chroot",
    "mknod",
    "/dev/tcp/",
    "base64",
    "xmrig",
    "nmap",
    "tcpdump",
    "insmod",
    "debugfs",
]
_AGENTS = [
    "kube-hunter",
    "peirates",
    "kubeletctl",
    "rakkess",
    "nuclei",
    "zgrab",
    "masscan",
    "sqlmap",
    "nikto",
    "gobuster",
]
_NETWORKS = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "100.64.0.0/10"]


def bench_rules() -> list[Rule]:
    """Return the 150 rules."""
    texts = (
        _RULE.format(number=number, selection=selection, exclusion=exclusion)
        for number, (selection, exclusion) in enumerate(_selections())
    )
    return load_sigma([("bench.yml", "---".join(texts))], {}).rules


def _selections() -> Iterator[tuple[str, str]]:
    excluding = " and not known"
    for resource in _RESOURCES:
        ref = f"objectRef.resource: {resource}"
        yield f"{{verb: [create, update, patch], {ref}, objectRef.namespace: bench}}", excluding
        yield f"{{verb: [delete, deletecollection], {ref}, userAgent|contains: bench}}", excluding
        yield f"{{verb: [get, list], {ref}, responseStatus.code: [401, 418]}}", ""
    pod = "verb: create, objectRef.resource: pods"
    for capability in _CAPABILITIES:
        path = "podspec.containers.securityContext.capabilities.add"
        yield f"{{{pod}, {path}: [{capability}, CAP_{capability}], objectRef.name: bench}}", ""
    for image in _IMAGES:
        yield f"{{{pod}, podspec.containers.image|contains: {image}}}", excluding
        yield f"{{{pod}, podspec.containers.args|re: '(?:^|/){image}\\b'}}", excluding
    execs = "verb: [get, create], objectRef.resource: pods, objectRef.subresource: exec"
    for command in _COMMANDS:
        yield f"{{{execs}, exec.commandLine|contains: {command}}}", ""
    for first, second in zip(_AGENTS[::2], _AGENTS[1::2], strict=True):
        yield f"{{userAgent|contains: [{first}, {second}]}}", ""
    for networks in (_NETWORKS[:3], _NETWORKS[3:]):
        yield f"{{sourceIPs|cidr: {networks}}}", ""
    for resource in _RESOURCES[:12]:
        yield f"{{objectRef.resource: {resource}, impersonatedUser.username: bench}}", excluding
    for number in range(3):
        yield f"{{requestURI|contains: /bench{number}/, user.groups: bench}}", ""
