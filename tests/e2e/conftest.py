"""Print what the techniques gave, as a table at the end of the run."""

from collections.abc import Iterator

import pytest

COLUMNS = ("technique", "policy", "seconds", "alerts")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = sorted(_rows(terminalreporter))
    if not rows:
        return
    table = [COLUMNS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    terminalreporter.section("techniques")
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line("  ".join(cells).rstrip())


def _rows(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, ...]]:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            found = {str(name): str(value) for name, value in report.user_properties}
            if report.when == "call" and found.keys() >= set(COLUMNS):
                yield tuple(found[column] for column in COLUMNS)
