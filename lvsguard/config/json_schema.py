"""The JSON Schema of the config file, for editors that complete and check as one types.

It knows shapes and bounds; relations between keys are only known to ``load``.
"""

from __future__ import annotations

from lvsguard.config.schema import Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, object]:
    """The schema, ready for json.dumps."""
    schema: dict[str, object] = {"$schema": DIALECT, "title": "lvsguard configuration"}
    for key, value in Document.model_json_schema().items():
        if key != "title":
            schema[key] = _plain(value)
    return schema


def _plain(value: object) -> object:
    """Drop what says nothing in TOML: titles that repeat the key, null and its alternatives."""
    if isinstance(value, list):
        return [_plain(one) for one in value if one != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _plain(one)
        for key, one in value.items()
        if not (key == "title" and isinstance(one, str))
        and not (key == "default" and (one is None or isinstance(one, dict) or one == []))
    }
    if "patternProperties" in kept:  # a table keyed by director takes no other keys
        kept["additionalProperties"] = False
    alternatives = kept.get("anyOf")
    if isinstance(alternatives, list) and len(alternatives) == 1:
        del kept["anyOf"]
        kept = {**alternatives[0], **kept}
    return kept
