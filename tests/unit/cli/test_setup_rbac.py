"""`tocsin setup rbac`: rights for the actions that were asked for, and no others."""

import json

import yaml

from tests.unit.cli.commandline import Commands
from tocsin.respond.actions.registry import ACTIONS


def test_the_rights_of_one_action(tocsin: Commands) -> None:
    ran = tocsin("setup", "rbac", "--actions", "cordon_node", "--namespace", "safety")
    assert ran.code == 0
    account, role, binding = yaml.safe_load_all(ran.out)
    assert account["metadata"]["namespace"] == "safety"
    assert binding["subjects"][0]["namespace"] == "safety"
    verbs = {(one["resources"][0], *one["verbs"]) for one in role["rules"]}
    assert verbs == {("nodes", "get", "patch"), ("pods", "get")}


def test_all_actions_by_default(tocsin: Commands) -> None:
    ran = tocsin("setup", "rbac", "--json")
    assert [one["kind"] for one in json.loads(ran.out)["items"]] == [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
    ]
    assert ", ".join(sorted(ACTIONS)) in tocsin("setup", "rbac").out


def test_binding_is_no_right_unless_it_is_asked_for(tocsin: Commands) -> None:
    assert "bind\n" not in tocsin("setup", "rbac").out
    ran = tocsin("setup", "rbac", "--undo-bindings", "view")
    rules = list(yaml.safe_load_all(ran.out))[1]["rules"]
    assert {"bind"} in [set(rule["verbs"]) for rule in rules]
    assert [rule.get("resourceNames") for rule in rules if "bind" in rule["verbs"]] == [["view"]]


def test_what_is_no_action_is_refused(tocsin: Commands) -> None:
    ran = tocsin("setup", "rbac", "--actions", "drop_tables")
    assert ran.code != 0
    assert "there is no action 'drop_tables'" in ran.err


def test_a_namespace_cannot_be_yaml(tocsin: Commands) -> None:
    assert tocsin("setup", "rbac", "--namespace", "a: b").code != 0
