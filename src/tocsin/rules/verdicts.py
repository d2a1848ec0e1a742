"""Remember what tests come to on texts that recur: users, agents, addresses.

A cluster has few of these, and each comes thousands of times: one look-up takes the place
of all tests on the field. Attackers may send any number of new ones: what is remembered is
bounded, and a text that is new costs what it would cost anyway.
"""

from tocsin.rules import ir
from tocsin.rules.operators import TextTest, text_test

# Remembered per field, none of it longer than this: some 100 KB, 1.3 MB at most.
MAX_VALUES = 1024
MAX_LENGTH = 256

Value = str | tuple[str, ...] | None


class Verdicts(dict[Value, int]):
    """For each value of a field which tests hold: bit n of the number stands for test n.

    A value is a text, or a tuple of texts of which one is enough, or None: none hold.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tests: dict[TextTest, int] = {}

    def bit(self, op: ir.Operator) -> int:
        """Return the number with the bit for `op`; all are to be asked for before any look-up."""
        return self._tests.setdefault(text_test(op), 1 << len(self._tests))

    def __missing__(self, value: Value) -> int:
        texts = (value,) if isinstance(value, str) else value or ()
        verdict = sum(bit for test, bit in self._tests.items() if any(map(test, texts)))
        if sum(map(len, texts)) + len(texts) <= MAX_LENGTH:
            if len(self) >= MAX_VALUES:
                self.clear()
            self[value] = verdict
        return verdict
