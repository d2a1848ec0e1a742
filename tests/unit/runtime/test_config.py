from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tocsin.model.errors import LoadError, TocsinError
from tocsin.notify import AlertmanagerSettings, SlackSettings, WebhookSettings
from tocsin.runtime.config import Config, load_config
from tocsin.runtime.wazuhfiles import WazuhFiles

SECRET = "correct-horse-battery"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tocsin.yaml"


def load(file: Path, text: str, **variables: str) -> Config:
    file.write_text(text)
    return load_config(file, variables)


def fault(file: Path, text: str, **variables: str) -> str:
    with pytest.raises(TocsinError) as caught:
        load(file, text, **variables)
    return str(caught.value).removeprefix(f"{file.parent}/")


def test_defaults_without_a_file() -> None:
    config = load_config(None, {})
    assert config.folder == Path("tocsin-data")
    assert config.key_path == Path("tocsin-data/keys/spool.key")
    assert (config.webhook.host, config.webhook.port) == ("127.0.0.1", 8080)
    assert (config.health.host, config.health.port) == ("127.0.0.1", 8081)
    assert config.builtin_rules
    assert (config.rules, config.files, config.notify, config.sets) == ((), (), {}, {})


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n", "webhook:\n"])
def test_an_empty_file_gives_the_defaults(file: Path, text: str) -> None:
    assert load(file, text) == load_config(None, {})


def test_the_file_stands_over_the_defaults(file: Path) -> None:
    config = load(
        file,
        "webhook: {port: 9443, gzip: true}\n"
        "spool: {retain_hours: 1.5}\n"
        "spool_key: /run/key\n"
        "rules: [a.yml, b]\n"
        "builtin_rules: false\n"
        "sets: {secret_readers: [x, y]}\n"
        "alerts: {keep_days: 7}\n"
        "files: [{path: a.log, checkpoint: a.pos, cluster: prod}]\n",
    )
    assert config.webhook.port == 9443
    assert config.webhook.gzip
    assert config.spool.retain_hours == 1.5
    assert config.key_path == Path("/run/key")
    assert config.rules == ("a.yml", "b")
    assert not config.builtin_rules
    assert config.sets == {"secret_readers": ("x", "y")}
    assert config.alerts.keep_days == 7
    assert config.files[0].cluster == "prod"


def test_the_environment_stands_over_the_file(file: Path) -> None:
    config = load(
        file,
        "data: from-file\nwebhook: {host: 0.0.0.0, port: 1}\n",
        TOCSIN__DATA="from-environment",
        TOCSIN__WEBHOOK__PORT="9443",
        TOCSIN__SPOOL__RETAIN_HOURS="0.5",
        TOCSIN__BUILTIN_RULES="false",
        TOCSIN__RULES="[a.yml, b]",
        TOCSIN__SETS__SECRET_READERS="[alice]",
        OTHER__DATA="ignored",
        TOCSIN_DATA="ignored",
    )
    assert config.data == "from-environment"
    assert (config.webhook.host, config.webhook.port) == ("0.0.0.0", 9443)  # noqa: S104 - no bind
    assert config.spool.retain_hours == 0.5
    assert not config.builtin_rules
    assert config.rules == ("a.yml", "b")
    assert config.sets == {"secret_readers": ("alice",)}


def test_the_command_line_stands_over_all(file: Path) -> None:
    file.write_text("data: from-file\n")
    for folder in ("2026", "no", "a: b", "${X}", "file:x"):
        config = load_config(file, {"TOCSIN__DATA": "from-environment"}, Path(folder))
        assert config.folder == Path(folder)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN__HEALTH__PORT", "1234")
    assert load_config(None).health.port == 1234


def test_certificates_are_those_of_our_own_authority(file: Path) -> None:
    for text in ("data: /srv/t\n", "data: /srv/t\nwebhook: {port: 1}\n"):
        tls = load(file, text).webhook.tls
        assert tls.certificate == "/srv/t/pki/server.crt"
        assert tls.key == "/srv/t/pki/server.key"
        assert tls.client_ca == "/srv/t/pki/ca.crt"


def test_certificates_of_ones_own(file: Path) -> None:
    text = "webhook: {tls: {certificate: a, key: b, client_ca: c}}\n"
    assert load(file, text).webhook.tls.client_ca == "c"


def test_references_to_variables(file: Path) -> None:
    text = "data: '${ROOT}/t-${NAME}'\nrules: ['${ROOT}/rules']\nspool_key: $ROOT\n"
    config = load(file, text, ROOT="/srv", NAME="${ROOT}")
    assert config.data == "/srv/t-${ROOT}"
    assert config.rules == ("/srv/rules",)
    assert config.spool_key == "$ROOT"


def test_references_to_files(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}-${{HOME}}\n")
    text = f"notify: {{ops: {{type: webhook, url: 'https://x', secret: 'file:{tmp_path}/secret'}}}}"
    channel = load(file, text).notify["ops"]
    assert isinstance(channel, WebhookSettings)
    assert channel.secret == f"{SECRET}-${{HOME}}"


ROUTES = "notify: {chat: {type: slack, url: 'https://x'}}\nroutes:\n"


def test_routes(file: Path) -> None:
    config = load(
        file, ROUTES + "  - {clusters: [lab], to: []}\n  - {to: [chat], continue: true}\n"
    )
    first, second = config.routes
    assert (first.clusters, first.to, first.further) == (("lab",), (), False)
    assert (second.to, second.further) == (("chat",), True)
    assert config.lowest_severities == {"chat": "medium"}


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("{to: [pager]}", "*:3: there is no channel 'pager' under `notify`; there are: chat (*)"),
        ("{to: [chat], colour: red}", "*:3: *unknown field `colour`*"),
        ("{clusters: [lab]}", "*:3: *required field `to`*"),
        ("{to: [chat], min_severity: loud}", "*:3: Invalid*(routes.0.min_severity)"),
        ("{to: chat}", "*:3: Expected `array`*"),
    ],
)
def test_wrong_routes_are_named_with_their_line(file: Path, route: str, words: str) -> None:
    assert fnmatch(fault(file, f"{ROUTES}  - {route}\n"), words)


def test_channels_link_to_where_people_reach_the_dashboard(file: Path) -> None:
    text = (
        "notify:\n"
        "  chat: {type: slack, url: 'https://x'}\n"
        "  own: {type: slack, url: 'https://x', dashboard_url: 'https://other.example'}\n"
        "web: {public_url: 'https://tocsin.example.org'}\n"
    )
    links = [channel.dashboard_url for channel in load(file, text).channels.values()]
    assert links == ["https://tocsin.example.org", "https://other.example"]
    hidden = load(file, text.replace("{public_url", "{enabled: false, public_url")).channels
    assert hidden["chat"].dashboard_url is None
    plain = load(file, text.replace("web: {public_url: 'https://tocsin.example.org'}", ""))
    assert plain.channels == plain.notify


def test_channels_of_each_type(file: Path) -> None:
    config = load(
        file,
        "notify:\n"
        "  chat: {type: slack, url: 'https://hooks.example/T1', min_severity: high}\n"
        "  am: {type: alertmanager, url: 'http://am:9093'}\n"
        f"  soar: {{type: webhook, url: 'https://soar', secret: {SECRET}}}\n",
    )
    assert [type(channel) for channel in config.notify.values()] == [
        SlackSettings,
        AlertmanagerSettings,
        WebhookSettings,
    ]
    assert config.notify["chat"].min_severity == "high"


CHANNEL = "notify:\n  ok: {type: slack, url: 'https://x'}\n  ops:\n    type: webhook\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("data: x\nwebhok: {}\n", "tocsin.yaml:2: Object contains unknown field `webhok` (webhok)"),
        ("webhook:\n  port: 1\n  prot: 2\n", "tocsin.yaml:3: * (webhook.prot)"),
        ("webhook:\n  tls: {certificate: a, key: b, client_ca: c, x: d}\n", "*:2: *tls.x)"),
        ("health:\n  prot: 2\n", "tocsin.yaml:2: * (health.prot)"),
        ("spool:\n  days: 2\n", "tocsin.yaml:2: * (spool.days)"),
        ("alerts:\n  days: 2\n", "tocsin.yaml:2: * (alerts.days)"),
        ("files:\n- {path: a, checkpoint: b, cluster: c}\n- pth: a\n", "*:3: *(files.1.pth)"),
        (CHANNEL + "    url: https://x\n    colour: red\n", "*:6: * (notify.ops.colour)"),
        (CHANNEL + "    url: https://x\n", "*:4: *required field `secret` (notify.ops)"),
        (CHANNEL + "    url: https://x\n    secret: short\nx: 1\n", "*:6: * (notify.ops.secret)"),
        (CHANNEL + "    url: ftp://x\n    secret: 0123456789abcdef\n", "*:4: *https:// or*"),
        ("notify:\n  Ops:\n    type: slack\n    url: https://x\n", "*:* (notify.Ops)"),
        ("notify:\n  ops:\n    type: pigeon\n    url: x\n", "*:3: Invalid value 'pigeon' *"),
        ("data: 3\n", "tocsin.yaml:1: Expected `str`, got `int` (data)"),
        ("\nhealth:\n  port: abc\n", "tocsin.yaml:3: Expected `int`, got `str` (health.port)"),
        ("health:\n  port: 65536\n", "*:2: Expected `int` <= 65535 (health.port)"),
        (
            "webhook:\n  port: 1\n  allow_unauthenticated_from:\n  - 10.0.0.0/8\n  - 10.0.0.1/8\n",
            "tocsin.yaml:5: '10.0.0.1/8' is no network * (webhook.allow_unauthenticated_from)",
        ),
        ("webhook:\n  allow_unauthenticated_from: 10.0.0.0/8\n", "*:2: Expected `array`, *"),
        ("webhook:\n  port: -1\n", "*:2: Expected `int` >= 0 (webhook.port)"),
        ("webhook: 3\n", "*:1: Expected `object`, got `int` (webhook)"),
        ("webhook:\n  tls: {certificate: a}\n", "*:2: *required field `key` (webhook.tls)"),
        ("rules: a.yml\n", "*:1: Expected `array`, got `str` (rules)"),
        ("sets:\n  a: [x]\n  b: x\n", "*:3: Expected `array`, got `str` (sets.b)"),
        ("builtin_rules: no\n", "*:1: Expected `bool`, got `str` (builtin_rules)"),
        ("- a\n", "tocsin.yaml:1: the configuration is a mapping of keys"),
        ("data: x\ndata: y\n", "tocsin.yaml:2: *"),
        ("data: [\n", "tocsin.yaml:2: *"),
        ("data: x\nrules:\n- a\n- ${NOT_SET}\n", "*:4: environment variable NOT_SET is not set"),
        ("data: x\nspool_key: file:/not/there\n", "*:2: /not/there cannot be read: No such file*"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, text: str, wanted: str) -> None:
    found = fault(file, text)
    assert fnmatch(found, wanted)
    assert found.startswith("tocsin.yaml:")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"TOCSIN__HEALTH__PORT": "abc"}, "TOCSIN__HEALTH__PORT: Expected `int`, got `str`"),
        ({"TOCSIN__WEBHOK__PORT": "1"}, "TOCSIN__WEBHOK__PORT: Object contains unknown field"),
        ({"TOCSIN__COLOUR": "1"}, "TOCSIN__COLOUR: Object contains unknown field `colour`"),
        ({"TOCSIN__DATA__X": "1"}, "TOCSIN__DATA__X: data is not a group of keys"),
        ({"TOCSIN__RULES": "[a"}, "TOCSIN__RULES:2: "),
        ({"TOCSIN__DATA": "${NOT_SET}"}, "TOCSIN__DATA: environment variable NOT_SET is not set"),
    ],
)
def test_a_wrong_variable_is_named(file: Path, variables: dict[str, str], wanted: str) -> None:
    assert fault(file, "data: x\n", **variables).startswith(wanted)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TocsinError, match=r"gone\.yaml: the configuration cannot be read: No such"):
        load_config(tmp_path / "gone.yaml", {})


def test_a_file_that_is_no_text(file: Path) -> None:
    file.write_bytes(b"data: \xff\n")
    with pytest.raises(TocsinError, match="cannot be read: not UTF-8 text"):
        load_config(file, {})


def test_a_referenced_file_that_is_no_text(file: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff")
    assert "secret cannot be read: not UTF-8" in fault(file, f"data: file:{tmp_path}/secret\n")


@pytest.mark.parametrize(
    "wrong",
    [
        f"{{type: webhook, url: 'ftp://u:{SECRET}@x', secret: {SECRET}}}",
        f"{{type: webhook, url: 'https://x', secret: [{SECRET}]}}",
        f"{{type: webhook, url: 'https://x', secret: {SECRET}, timeout: soon}}",
        f"{{type: slack, url: 'https://u:{SECRET}@169.254.169.254/{SECRET}'}}",
        f"{{type: slack, url: 'https://x/{SECRET}', secret: {SECRET}}}",
    ],
)
def test_no_secret_stands_in_an_error(file: Path, wrong: str) -> None:
    assert SECRET not in fault(file, f"notify: {{ops: {wrong}}}\n")
    assert SECRET not in fault(file, "", TOCSIN__NOTIFY__OPS=wrong)
    assert SECRET not in fault(file, "", TOCSIN__NOTIFY__OPS=wrong + "]")


def test_no_secret_stands_in_the_text_form(file: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text(SECRET)
    config = load(
        file,
        "notify:\n"
        "  chat: {type: slack, url: 'https://hooks.example/${TOKEN}'}\n"
        "  am: {type: alertmanager, url: 'https://u:${TOKEN}@am'}\n"
        f"  soar: {{type: webhook, url: 'https://soar', secret: 'file:{tmp_path}/s'}}\n",
        TOKEN=SECRET,
    )
    assert SECRET not in repr(config)
    assert "hooks.example" in repr(config)


def test_what_is_read_cannot_be_changed() -> None:
    config: Any = load_config(None, {})
    with pytest.raises(AttributeError):
        config.data = "x"


def test_all_faults_are_errors_for_people(file: Path) -> None:
    file.write_text("x: 1\n")
    with pytest.raises(LoadError) as caught:
        load_config(file, {})
    assert caught.value.faults[0].field == "x"


def test_wazuh_files_among_the_rules(file: Path) -> None:
    text = (
        "rules:\n  - a.yml\n  - wazuh: {decoders: [d], rules: [r.xml], lists: [l], config: c}\n"
        "  - wazuh:\n      folder: /var/ossec/etc\n      strict: true\n"
    )
    config = load(file, text)
    assert config.rule_paths == [Path("a.yml")]
    first, second = config.wazuh
    assert first.paths == [Path(name) for name in ("d", "r.xml", "l", "c")]
    assert second == WazuhFiles(folder="/var/ossec/etc", strict=True)
    assert second.config_path == Path("/var/ossec/etc/ossec.conf")


def test_an_unknown_key_of_wazuh_files_has_its_line(file: Path) -> None:
    with pytest.raises(LoadError, match=r"yaml:3: .*unknown field `decoder`"):
        load(file, "rules:\n  - a.yml\n  - wazuh: {decoder: x}\n")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("    actions: [delete_pod, delete_pods]", "5: there is no action 'delete_pods'"),
        ("    actions: [{delete_pod: {grace: 1}}]", "5: delete_pod has no parameter 'grace'"),
        ("    actions: [delete_pod]\n    undo_after_seconds: 5", "6: none of these actions can be"),
        ("    actions: [delete_pod]\n    mode: now", "6: Invalid enum value 'now'"),
    ],
)
def test_a_response_that_cannot_be_is_an_error_with_its_line(
    file: Path, lines: str, said: str
) -> None:
    head = "respond:\n  responses:\n  - name: x\n    when: {rules: [a]}\n"
    assert fault(file, f"{head}{lines}\n").startswith(f"tocsin.yaml:{said}")


def test_an_entry_of_an_inner_mapping_is_named(file: Path) -> None:
    text = "respond:\n  clusters:\n    a: {kubeconfig: x}\n    b: {kubeconf: x}\n"
    assert "(respond.clusters.b.kubeconf)" in fault(file, text)
