from pathlib import Path

import pytest
import yaml

from tocsin.connect.policy import load_policy, read_policy
from tocsin.model.errors import TocsinError

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"


@pytest.mark.parametrize("choice", ["recommended", "seed"])
def test_shipped_policies_pass_the_check_for_users_own(tmp_path: Path, choice: str) -> None:
    content = load_policy(choice)
    own = tmp_path / "own.yaml"
    own.write_bytes(content)
    assert load_policy(str(own)) == content
    assert yaml.safe_load(content)["kind"] == "Policy"
    assert read_policy(str(own)).rules == read_policy(choice).rules


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Pod", "not an audit policy"),
        ("kind: Policy\napiVersion: audit.k8s.io/v1beta1", "not an audit policy"),
        (HEAD, "needs a list of rules"),
        (HEAD + "rules: []", "needs a list of rules"),
        (HEAD + "rules: [{level: None}, {level: metadata}]", "rule 2 has the level 'metadata'"),
        (HEAD + "rules: [x]", r"rules\[0\]: Expected `object \| null`, got `str`"),
        (HEAD + "rules: [{level: None, verbs: get}]", r"rules\[0\].verbs: Expected `array"),
        ("a: b: c", "not readable as YAML"),
        ("\x00", "not readable as YAML"),
        ("- 1", "holds no mapping"),
    ],
)
def test_file_that_is_no_policy_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(TocsinError, match=problem):
        load_policy(str(path))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match=r"there is no file .*/none\.yaml"):
        load_policy(str(tmp_path / "none.yaml"))
