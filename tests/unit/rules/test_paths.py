"""Field paths: what they reach, and what cannot hide from them."""

import pytest

from tocsin.rules.paths import MAX_SEGMENTS, PathError, split, values


def found(node: object, path: str, parent: str | None = None) -> list[object]:
    return list(values(node, split(path), parent))


def test_dots_descend_and_lists_fan_out() -> None:
    pod = {"spec": {"containers": [{"image": "a"}, {"image": ["b", "c"]}, "text", 7, None, {}]}}
    assert found(pod, "spec.containers.image") == ["a", "b", "c"]


def test_list_at_the_top_is_searched_too() -> None:
    assert found([{"op": "add"}, {"op": "remove"}], "op") == ["add", "remove"]


def test_nulls_are_no_values() -> None:
    assert found({"a": None, "b": [None, 0, ""]}, "a") == []
    assert found({"a": None, "b": [None, 0, ""]}, "b") == [0, ""]


def test_list_directly_inside_a_list_is_not_opened() -> None:
    assert found({"a": [[{"b": 1}], {"b": 2}]}, "a.b") == [2]
    assert found({"a": [[1, 2], 3]}, "a") == [[1, 2], 3]


@pytest.mark.parametrize("node", ["text", 7, 0.5, True, None, [], {}, [[]], "spec"])
def test_other_shapes_have_nothing_below(node: object) -> None:
    assert found(node, "spec.containers") == []
    assert found({"spec": node}, "spec.containers.image") == []


def test_annotation_keys_contain_dots_and_slashes() -> None:
    node = {"authorization.k8s.io/decision": "allow", "authorization": {"k8s": "no"}}
    assert found(node, "authorization.k8s.io/decision", "annotations") == ["allow"]
    assert found({"metadata": {"annotations": node}}, "metadata.annotations.authorization.k8s") == [
        "no"
    ]


def test_longest_key_wins_where_keys_are_free_text() -> None:
    node = {"labels": {"a": {"b": "short"}, "a.b": "long"}}
    assert found(node, "labels.a.b") == ["long"]


def test_key_with_a_slash_is_found_anywhere() -> None:
    assert found({"x": {"example.com/gpu": 1}}, "x.example.com/gpu") == [1]
    assert found({"x": {"a/b.c": 1}}, "x.a/b.c") == [1]


def test_attackers_dotted_key_cannot_hide_a_real_field() -> None:
    pod = {"spec": {"hostPID": True}, "spec.hostPID": False}
    assert found(pod, "spec.hostPID") == [True]
    annotated = {"spec": {"x/y": "real"}, "spec.x": {"y": 0}}
    assert found(annotated, "spec.x/y") == ["real"]


@pytest.mark.parametrize("path", ["spec.containers[].image", "spec.containers.image[]", "spec[]"])
def test_brackets_at_the_end_of_a_part_are_dropped(path: str) -> None:
    assert "[]" not in "".join(split(path))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty part"),
        (".", "empty part"),
        ("a..b", "empty part"),
        ("a.", "empty part"),
        ("a.[].b", "empty part"),
        ("a[0].b", "index"),
        (".".join("a" * (MAX_SEGMENTS + 1)), "more than 16 parts"),
        ("a/b.c/d.e/f", "with a slash"),
    ],
)
def test_path_that_cannot_be_followed_is_refused(path: str, reason: str) -> None:
    with pytest.raises(PathError, match=reason):
        split(path)
