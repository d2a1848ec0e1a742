import pytest

from tests.unit.dialects.wazuh.installed import installed
from tocsin.dialects.wazuh.event import Decoded
from tocsin.model.errors import LoadError

PODS = (
    '<decoder name="pods"><parent>json</parent>'
    '<regex type="pcre2">"name": "(\\w+)"</regex><order>pod</order></decoder>'
)
PLUGIN = (
    '<decoder name="pods"><parent>json</parent>'
    "<plugin_decoder>JSON_Decoder</plugin_decoder></decoder>"
)
LOG = '{"name": "p1", "verb": "get"}'


def decoded(decoders: str, log: str = LOG, *, strict: bool = True) -> Decoded:
    return installed("", decoders, strict=strict).decoders.decode(log.encode())


def names(found: Decoded) -> list[str]:
    return [name for name, _ in found.fields.dynamic]


def test_a_child_replaces_the_plugin_of_its_parent() -> None:
    found = decoded(PODS)
    assert (found.name, found.parent) == ("json", None)
    assert found.fields.dynamic == [("pod", "p1")]
    assert found.added is None
    assert not decoded(PODS, '{"verb": "get"}').fields.dynamic


def test_additive_keeps_the_json_fields_apart() -> None:
    found = decoded(PODS, strict=False)
    assert found.fields.dynamic == [("pod", "p1")]
    assert found.added is not None
    assert found.added.dynamic == [("name", "p1"), ("verb", "get")]


def test_two_children_of_one_name_both_extract() -> None:
    assert names(decoded(PLUGIN + PODS)) == ["name", "verb", "pod"]
    assert names(decoded(PODS + PLUGIN)) == ["pod", "name", "verb"]
    assert decoded(PLUGIN + PODS, strict=False).added is None


def test_a_child_of_another_name_is_never_reached() -> None:
    assert names(decoded(PODS + PLUGIN.replace("pods", "more"))) == ["pod"]


def test_a_child_with_a_prematch_takes_over() -> None:
    child = (
        '<decoder name="k8s"><parent>json</parent>{}<prematch>"verb"</prematch>'
        '<regex offset="after_prematch">(\\S+)}}</regex><order>rest</order></decoder>'
    )
    assert decoded(child.format("")).parent == "json"
    assert decoded(child.format("")).name == "json"
    own = decoded(child.format("<use_own_name>true</use_own_name>"))
    assert (own.parent, own.name) == ("json", "k8s")


def test_children_whose_prematch_fails_leave_the_root_without_fields() -> None:
    child = PLUGIN.replace("<plugin", "<prematch>nowhere</prematch><plugin")
    found = decoded(child + PODS)
    assert found.name == "json"
    assert not found.fields.dynamic


@pytest.mark.parametrize("log", [' {"a":1}', "{}", "[{", "3", "", '{\t"a":1}'])
def test_what_is_not_recognised_as_json(log: str) -> None:
    assert decoded("", log).name is None


@pytest.mark.parametrize("log", ['{"a":"1",}', '{"a":"1"'])
def test_json_that_is_none_has_no_fields(log: str) -> None:
    assert decoded("", log).name == "json"
    assert not decoded("", log).fields.dynamic


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ('<decoder name="a"></decoder>', "prematch or a program_name"),
        ('<decoder status="x"></decoder>', "attribute 'name'"),
        ('<decoder name="a"><foo>1</foo></decoder>', "no element 'foo'"),
        ('<decoder name="a"><parent>nobody</parent></decoder>', "no decoder 'nobody'"),
        ('<decoder name="a"><parent>json</parent><regex>x</regex></decoder>', "needs an order"),
        (PODS.replace("<regex", "<plugin_decoder>JSON_Decoder</plugin_decoder><regex"), "plug-in"),
        (PODS.replace("(\\w+)", "(\\w+"), "refused"),
        (PODS.replace("<order", "<plugin_decoder>X</plugin_decoder><order"), "no plug-in 'X'"),
        (PODS.replace("<order", "<type>x</type><order"), "no type 'x'"),
        (PODS.replace("<regex", '<regex offset="after_prematch"'), "needs a prematch"),
        (PODS.replace("<regex", '<regex offset="nowhere"'), "no offset"),
    ],
)
def test_refused_decoders(decoder: str, message: str) -> None:
    with pytest.raises(LoadError, match=r"local_decoder.xml:2: ") as caught:
        installed("", "\n" + decoder)
    assert message in str(caught.value)


def test_programs_have_decoders_of_their_own() -> None:
    program = (
        '<decoder name="kube"><program_name>^kube</program_name></decoder>'
        '<decoder name="kube-audit"><parent>kube</parent><prematch>^audit </prematch>'
        '<plugin_decoder offset="after_prematch">JSON_Decoder</plugin_decoder></decoder>'
    )
    decoders = installed("", program).decoders
    found = decoders.decode(b'audit {"a":"1"}', "kubelet")
    assert (found.parent, found.name, found.fields.dynamic) == ("kube", "kube", [("a", "1")])
    assert decoders.decode(b'audit {"a":"1"}', "sshd").name is None
    assert decoders.decode(b'{"a":"1"}').name == "json"


def test_regexes_go_on_where_the_one_before_ended() -> None:
    def child(regex: str, field: str, offset: str) -> str:
        return (
            f'<decoder name="c"><parent>top</parent><regex{offset}>{regex}</regex>'
            f"<order>{field}</order></decoder>"
        )

    decoders = '<decoder name="top"><prematch>^start </prematch></decoder>' + (
        child(r"^(\w)-", "one,srcip", ' offset="after_parent"')
        + child(r"^(nowhere)", "never", ' offset="after_regex"')
        + child(r"^(\w)-", "user", ' offset="after_regex"')
        + child(r"^(\w)-", "three", ' offset="after_regex"')
    )
    found = decoded(decoders, "start a-b-c-")
    assert found.fields.dynamic == [("one", "a"), ("three", "c")]
    assert found.fields.static == {"dstuser": "b"}


@pytest.mark.parametrize(
    ("content", "warning"),
    [
        ('<prematch type="osmatch">x</prematch>', "osregex is used"),
        ('<prematch type="bogus">x</prematch>', "osregex is used"),
        ("<prematch>x</prematch><json_array_structure>x</json_array_structure>", "7602"),
    ],
)
def test_decoders_that_are_not_quite_right(content: str, warning: str) -> None:
    installation = installed("", f'<decoder name="a">{content}</decoder>')
    assert warning in str(installation.warnings[0])


def test_files_that_are_no_decoders() -> None:
    for text in ("<group/>", "<decoder"):
        with pytest.raises(LoadError, match=r"local_decoder.xml:1: "):
            installed("", text)
