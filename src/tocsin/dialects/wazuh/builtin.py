"""What a Wazuh installation needs at least: the JSON decoders, and a root rule per category.

They stand in when the files of the user define none of these.
"""

JSON_DECODERS = r"""
<decoder name="json-msgraph">
  <prematch>"integration":"ms-graph"</prematch>
  <plugin_decoder>JSON_Decoder</plugin_decoder>
  <json_null_field>discard</json_null_field>
</decoder>
<decoder name="json">
  <prematch>^{\s*"</prematch>
  <plugin_decoder>JSON_Decoder</plugin_decoder>
</decoder>
"""

# In the order of their ids, from 1.
CATEGORIES = ("syslog", "firewall", "ids", "web-log", "squid", "windows", "ossec")


def root_rules() -> str:
    """Return the root rules: they match every event of their category, and never alert."""
    return "".join(
        f'<group name="{category},"><rule id="{number}" level="0" noalert="1">'
        f"<category>{category}</category>"
        f"<description>All events of category {category}.</description></rule></group>\n"
        for number, category in enumerate(CATEGORIES, 1)
    )
