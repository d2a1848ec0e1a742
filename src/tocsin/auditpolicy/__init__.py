"""The API server's audit policy: what it records of a request, and which rules that starves.

Pure: parsed documents, requests and rules in, decisions out. `policy` and `parse` are
audit.k8s.io/v1 as the API server reads and evaluates it, `coverage` asks which detection
rules can never fire under a policy, `observed` the same of what a cluster was seen to send.
"""

from tocsin.auditpolicy.coverage import RuleCoverage, State, correlated, coverage
from tocsin.auditpolicy.observed import observed_coverage
from tocsin.auditpolicy.parse import parse_policy
from tocsin.auditpolicy.policy import Decision, Level, Policy, Request, Stage

__all__ = [
    "Decision",
    "Level",
    "Policy",
    "Request",
    "RuleCoverage",
    "Stage",
    "State",
    "correlated",
    "coverage",
    "observed_coverage",
    "parse_policy",
]
