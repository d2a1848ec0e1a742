"""The detection rules: whether those in force are those that are meant."""

from tocsin.dialects.loaded import Loaded
from tocsin.runtime.doctor.finding import Finding, fault, ok, warning

CHECK = "rules"


def judge(loaded: Loaded) -> list[Finding]:
    """Judge what came of loading the rules."""
    found = []
    if loaded.faults:
        found.append(
            fault(
                CHECK,
                f"{len(loaded.faults)} faults in rule files, the first: {loaded.faults[0]!s}",
                "these rules find nothing; a Tocsin that starts anew does not start with them",
                "tocsin rules lint, and mend the files",
            )
        )
    if loaded.warnings:
        first = loaded.warnings[0]
        found.append(
            warning(
                CHECK,
                f"{len(loaded.warnings)} rules may not do what they are meant to, the first: "
                f"{first.location}: {first.message}",
                "a rule that cannot match finds nothing",
                "tocsin rules lint",
            )
        )
    return found or [ok(CHECK, f"{loaded.count} rules are in force")]
