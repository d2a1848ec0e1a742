"""Wazuh rules for measuring with: four that many people use on audit events, and files beside."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tocsin.runtime.wazuh import Wazuh, load_wazuh_files
from tocsin.runtime.wazuhfiles import WazuhFiles

_DECODER = r"""
<decoder name="pods">
<parent>json</parent>
<regex type="pcre2">"kind": "\S+", "apiVersion": "\S+", "metadata": {"name": "(\S+)", "namespace": "(\S+)"</regex>
<order>pod,ns</order>
</decoder>
"""  # noqa: E501 - a pattern has no line breaks
_RULES = """
<group name="kubernetes_audit,">
<rule id="110000" level="0">
<decoded_as>json</decoded_as>
<description>Kubernetes audit log.</description>
</rule>
<rule id="110009" level="3">
<if_sid>110000</if_sid>
<regex type="pcre2">"verb": "delete".+"resource": "pods"</regex>
<description>Kubernetes request to delete pod: $(pod)</description>
</rule>
<rule id="110010" level="3">
<if_sid>110000</if_sid>
<regex type="pcre2">"verb": "create".+"resource": "pods".+"securityContext":(?! {"privileged": true})</regex>
<description>Kubernetes request to create pod: $(pod)</description>
</rule>
<rule id="110011" level="9">
<if_sid>110000</if_sid>
<regex type="pcre2">"verb": "create".+"securityContext": {"privileged": true}</regex>
<description>Kubernetes privileged pod created in {namespace: $(ns) pod: $(pod)}</description>
<mitre><id>T1611</id></mitre>
</rule>
</group>
"""  # noqa: E501 - as above


def bench_wazuh(beside: Path | None) -> dict[str, Wazuh]:
    """Return installations by what they are: the four rules, and these beside those of a folder.

    Raises:
        LoadError: something is wrong in the files of the folder.
    """
    with TemporaryDirectory() as folder:
        decoder, rules = Path(folder, "local_decoder.xml"), Path(folder, "local_rules.xml")
        decoder.write_text(_DECODER)
        rules.write_text(_RULES)
        files = WazuhFiles(decoders=(str(decoder),), rules=(str(rules),))
        found = {"Wazuh, 4 rules": load_wazuh_files(files)}
        if beside is not None:
            both = WazuhFiles(str(beside), files.decoders, files.rules)
            wazuh = load_wazuh_files(both)
            found[f"Wazuh, {wazuh.count} rules"] = wazuh
    return found
