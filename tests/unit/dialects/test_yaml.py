"""YAML that strangers wrote: bounded, exact, with the line of every value. Bar S13."""

import subprocess
import sys
import textwrap

import pytest

from tocsin.dialects import yaml
from tocsin.dialects.yaml import read_documents
from tocsin.model.errors import LoadError


def read(text: str) -> object:
    (document,) = read_documents(text, "r.yml")
    return document.value


def fault_of(text: str) -> str:
    with pytest.raises(LoadError) as refused:
        read_documents(text, "r.yml")
    (fault,) = refused.value.faults
    return str(fault)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("NULL", None),
        ("none", "none"),
        ("010", "010"),
        ("0o10", "0o10"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("10", 10),
        ("-7", -7),
        ("+7", "+7"),
        ("0", 0),
        ("-0", "-0"),
        ("1.5", 1.5),
        ("1.20", "1.20"),
        ("1e3", "1e3"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("inf", "inf"),
        ("-inf", "-inf"),
        ("nan", "nan"),
        ("٣", "٣"),
        ("2026-11-23", "2026-11-23"),
        ("12:30:45", "12:30:45"),
        ("9" * 5000, "9" * 5000),
        ("'10'", "10"),
        ('"true"', "true"),
        ("''", ""),
        ('"~"', "~"),
        ("!!str 10", "10"),
        ("plain text", "plain text"),
        ("=", "="),
    ],
)
def test_scalars_are_exact(scalar: str, value: object) -> None:
    found = read(f"key: {scalar}\n")
    assert found == {"key": value}
    assert isinstance(found, dict)
    assert type(found["key"]) is type(value)


def test_keys_are_text() -> None:
    assert read("403: a\nno: b\n~: c\ntrue: d\n") == {"403": "a", "no": "b", "~": "c", "true": "d"}


def test_block_texts_are_read() -> None:
    assert read("a: |\n  x\n  y\nb: >-\n  x\n  y\n") == {"a": "x\ny\n", "b": "x y"}


TEXT = """\
title: T
detection:
  s:
    verb: get
    list:
      - a
      - b: [c,
           d]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("title",), 1),
        (("detection",), 3),
        (("detection", "s", "verb"), 4),
        (("detection", "s", "list", 0), 6),
        (("detection", "s", "list", 1, "b", 1), 8),
        (("detection", "s", "nope"), 4),
        (("detection", "nope", "deeper"), 3),
        (("nope",), 1),
    ],
)
def test_every_value_has_its_line(path: tuple[str | int, ...], line: int) -> None:
    (document,) = read_documents(TEXT, "r.yml")
    assert document.at(*path).line == line
    assert document.at(*path).path == "r.yml"


def test_documents_of_a_file_are_told_apart() -> None:
    found = read_documents("---\na: 1\n---\nb: 2\n...\n---\n# nothing\n---\nc: 3\n", "r.yml")
    assert [document.value for document in found] == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert [document.at().line for document in found] == [2, 4, 9]


@pytest.mark.parametrize("text", ["", "\n", "# comment\n", "---\n", "---\n...\n", "~\n"])
def test_file_without_a_document_is_empty(text: str) -> None:
    assert read_documents(text, "r.yml") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", "r.yml:3: key 'a' stands twice"),
        ("a:\n  b: 1\n  'b': 2\n", "r.yml:3: key 'b' stands twice"),
        ("a: &x 1\nb: *x\n", "r.yml:2: anchors and aliases are not supported"),
        ("a: &x {b: *x}\n", "r.yml:1: anchors and aliases"),
        ("a: {b: 1}\n<<: {c: 1}\n", "r.yml:2: merge keys"),
        ("a: &x {<<: *x}\n", "r.yml:1: merge keys"),
        ("a: !!python/object/apply:os.system [id]\n", "r.yml:1: tag tag:yaml.org,2002:python/"),
        ("a: !!python/name:os.system\n", "r.yml:1: tag tag:yaml.org,2002:python/"),
        ("!!set {a}\n", "r.yml:1: tag tag:yaml.org,2002:set"),
        ("a: !!binary aGk=\n", "tag:yaml.org,2002:binary"),
        ("a: !!int '7'\n", "tag:yaml.org,2002:int"),
        ("a: !mine x\n", "tag !mine"),
        ("? [a]\n: 1\n", "r.yml:1: a key must be text"),
        ("? {a: b}\n: 1\n", "a key must be text"),
        ("a: b: c\n", "r.yml:1: mapping values"),
        ("a: [1\nb: 2\n", "r.yml:2: "),
        ("a: 'x\n", "r.yml:2: "),
        ("\ta: 1\n", "r.yml:1: "),
        ("a: \x01\n", "r.yml: "),
        ("%YAML 3.0\n---\na\n", "r.yml:1: "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, reason: str) -> None:
    assert fault_of(text).startswith(reason) or reason in fault_of(text)


@pytest.mark.parametrize("opening", ["{a: ", "[", "- ", "? "])
def test_depth_is_bounded(opening: str) -> None:
    assert f"nested deeper than {yaml.MAX_DEPTH}" in fault_of(opening * 100) or opening == "? "
    assert fault_of(opening * 100)


def test_depth_that_people_need_is_fine() -> None:
    assert read("[" * 60 + "]" * 60) is not None


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "MAX_BYTES", 100)
    assert "larger than 100 bytes" in fault_of("a: " + "x" * 100)
    monkeypatch.setattr(yaml, "MAX_BYTES", 10_000)
    monkeypatch.setattr(yaml, "MAX_NODES", 100)
    assert "more than 100 values" in fault_of("[" + "a," * 200 + "]")


@pytest.mark.robustness
def test_s13_hostile_files_end_in_a_fault_and_little_memory() -> None:
    program = textwrap.dedent(
        """
        import resource
        from tocsin.dialects.yaml import MAX_BYTES, read_documents
        from tocsin.model.errors import LoadError
        levels = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
        levels += [f"a{n}: &a{n} [" + ",".join([f"*a{n-1}"] * 9) + "]" for n in range(1, 12)]
        files = {
            "alias bomb": "\\n".join(levels),
            "deep map": "{a: " * 200_000,
            "deep list": "[" * 200_000,
            "anchors": "\\n".join(f"k{n}: &a{n} {n}" for n in range(100_000)),
            "full": "- a\\n" * (MAX_BYTES // 4),
            "too large": "x" * (MAX_BYTES + 1),
            "one text": "a: " + "x" * (MAX_BYTES - 10),
        }
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for name, text in files.items():
            try:
                print(name, "read", len(read_documents(text, "r.yml")))
            except LoadError as error:
                print(name, "refused", len(error.faults))
        print("MiB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *outcomes, memory = done.stdout.splitlines()
    assert outcomes == [
        "alias bomb refused 1",
        "deep map refused 1",
        "deep list refused 1",
        "anchors read 1",
        "full refused 1",
        "too large refused 1",
        "one text read 1",
    ]
    assert int(memory.split()[1]) <= 100
