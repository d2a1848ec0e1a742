"""What field paths are in a generated function: which variables hold their values.

Fields of the event are read from its structs. Bodies are decoded, derived fields computed
and paths followed when a term needs it, at most once per event.
"""

import msgspec
from typing_extensions import override

from tocsin.rules import ir
from tocsin.rules.code import UNSET, Code, Variables
from tocsin.rules.extract import Form, extractor
from tocsin.rules.interpret import EventView
from tocsin.rules.operators import texts_of
from tocsin.rules.paths import last_segment, split
from tocsin.rules.schema import Located, Schema
from tocsin.rules.verdicts import Verdicts

# What computing a variable costs, in about tenths of a microsecond.
_FOLD, _EXTRACT, _DERIVE, _DECODE = 1, 8, 10, 100


class Scope(Variables):
    """Variables and constants of one generated function; the subclasses know its fields."""

    def __init__(self, constants: dict[str, object]) -> None:
        super().__init__()
        self.constants = constants
        self._names: dict[object, str] = {}

    def leaves(self, path: str) -> str:
        """Return the variable with the list of values at `path`."""
        raise NotImplementedError

    def texts(self, path: str, *, folded: bool) -> Code:
        """Return the list of texts of the values at `path`, folded: in lower case."""
        raise NotImplementedError

    def scalar(self, path: str) -> tuple[str, str] | None:
        """Return the variable and kind (text, number) of a single-valued field, if it is one."""
        del path
        return None

    def everything(self, *, folded: bool) -> Code:
        """Return the list of texts of all values of the event, folded: in lower case."""
        raise NotImplementedError

    def remembered(self, path: str, op: ir.Operator) -> Code | None:
        """Return the test of a field's text as a look-up, if outcomes of it are remembered."""
        del path, op
        return None

    def constant(self, value: object) -> str:
        """Return the name of a constant, always the same for one object, and for equal sets."""
        key = value if isinstance(value, frozenset) else id(value)
        name = self._names.get(key)
        if name is None:
            name = self._names[key] = f"k{len(self.constants)}"
            self.constants[name] = value
        return name


class EventScope(Scope):
    """The function of a bucket: its fields are those of a schema.

    Args:
        schema: how to read an event.
        remember: whether outcomes of tests on fields whose texts recur are remembered. It
            pays for the rules that every event meets, and costs memory for each function.
    """

    def __init__(self, schema: Schema, *, remember: bool = False) -> None:
        super().__init__({"UNSET": UNSET})
        self._schema = schema
        self._verdicts: dict[str, Verdicts] | None = {} if remember else None

    @override
    def scalar(self, path: str) -> tuple[str, str] | None:
        derived = self._schema.derived.get(path)
        if derived is not None and derived.text:
            return self._root(path), "text"
        attribute = self._schema.attributes.get(path)
        if attribute is None or attribute.kind not in ("text", "number"):
            return None
        return self.attribute(path), attribute.kind

    @override
    def leaves(self, path: str) -> str:
        found = self._schema.locate(path)
        if found is None:
            return self.bind("nothing", "()")
        scalar = self.scalar(found.name)
        if scalar is None:
            return self._extracted(path, found, "values")
        variable = scalar[0]
        code = "()" if found.segments else f"({variable},) if {variable} is not None else ()"
        return self.bind(f"leaves {path}", code, (variable,))

    @override
    def texts(self, path: str, *, folded: bool) -> Code:
        found = self._schema.locate(path)
        if found is None or self.scalar(found.name) is not None:
            # Of a scalar, only what lies below it is asked for here: nothing.
            return Code("()")
        attribute = self._schema.attributes.get(path)
        if attribute is None or attribute.kind != "texts":
            form: Form = "folded" if folded else "texts"
            return _variable(self._extracted(path, found, form))
        # Few terms get as far as this one, so the list is made where it is looked at.
        variable = self.attribute(path)
        texts = f"({variable} or ())"
        return Code(f"[t.lower() for t in {texts}]" if folded else texts, frozenset({variable}))

    @override
    def everything(self, *, folded: bool) -> Code:
        texts = self.constant(self._texts_of_all)
        found = self.bind("everything", f"{texts}(e)", weight=_DECODE)
        if not folded:
            return _variable(found)
        code = f"[t.lower() for t in {found}]"
        return _variable(self.bind("folded everything", code, (found,), _DERIVE))

    @override
    def remembered(self, path: str, op: ir.Operator) -> Code | None:
        if (
            self._verdicts is None
            or path not in self._schema.recurring
            or isinstance(op, ir.Present | ir.SameAs)
        ):
            return None
        verdicts = self._verdicts.setdefault(path, Verdicts())
        field, known = self.attribute(path), self.constant(verdicts)
        several = self._schema.attributes[path].kind == "texts"
        value = f"tuple({field}) if {field} else None" if several else field
        code = f"{known}[{value}]"
        variable = self.bind(f"verdicts {path}", code, (field,), _FOLD)
        return Code(f"{variable} & {verdicts.bit(op)}", frozenset({variable}))

    def _texts_of_all(self, event: msgspec.Struct) -> list[str]:
        return texts_of(EventView(event, self._schema).everything())

    def _extracted(self, path: str, found: Located, form: Form) -> str:
        root = self._root(found.name)
        extract = self.constant(extractor(found.segments, last_segment(found.name), form))
        return self.bind(f"{form} {path}", f"{extract}({root})", (root,), _EXTRACT)

    def _root(self, name: str) -> str:
        attribute = self._schema.attributes.get(name)
        if attribute is None:
            derived = self._schema.derived[name]
            code = f"{self.constant(derived.compute)}(e)"
            guards = {self.attribute(key): values for key, values in derived.only.items()}
            if guards:
                tests = (f"{key} in {self.constant(values)}" for key, values in guards.items())
                code = f"{code} if {' and '.join(tests)} else None"
            weight = _DERIVE + _DECODE * len(derived.bodies)
            return self.bind(f"root {name}", code, tuple(guards), weight)
        variable = self.attribute(name)
        if attribute.kind not in ("body", "map"):
            return variable
        decode = self.constant(self._schema.decode)
        code = f"{decode}({variable}) if {variable} else None"
        weight = _DECODE if attribute.kind == "body" else _DERIVE
        return self.bind(f"root {name}", code, (variable,), weight)

    def attribute(self, name: str) -> str:
        """Return the variable with a typed field of the event."""
        *structs, last = self._schema.attributes[name].path
        owner = "e"
        for step in structs:
            default = self.constant(self._schema.defaults[step])
            owner = self.bind(f"struct {step}", f"{owner}.{step} or {default}")
        return self.bind(f"attribute {name}", f"{owner}.{last}", () if owner == "e" else (owner,))


class ElementScope(Scope):
    """The body of a loop over list elements: paths start at the element."""

    @override
    def leaves(self, path: str) -> str:
        return self._extracted(path, "values")

    @override
    def texts(self, path: str, *, folded: bool) -> Code:
        return _variable(self._extracted(path, "folded" if folded else "texts"))

    def _extracted(self, path: str, form: Form) -> str:
        extract = self.constant(extractor(split(path), None, form))
        return self.bind(f"{form} {path}", f"{extract}(item)", weight=_EXTRACT)


def _variable(name: str) -> Code:
    return Code(name, frozenset({name}))
