"""What `bench structured` says of schemas, where that is known: of ours and of llguidance, on a small vocabulary."""

import json

from bench import structured

CASES = [
    ["kept", {"type": "integer", "minimum": 3}, "12", "2"],
    ["refused", {"$ref": "http://example.com/a"}, "1", "1"],
    ["order", {"properties": {"a": {}, "b": {}}, "additionalProperties": False}, '{"b": 1, "a": 1}', '{"c": 1}'],
    ["names twice", {"type": "object"}, "{}", '{"a": 1, "a": 1}'],
]
VERDICTS = {
    "kept": ["kept"],
    "refused": ["refused"],
    "does not take the valid text": ["order"],
    "takes the violating text": ["names twice"],
}


def test_verdicts_and_masks(tmp_path, capsys):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(CASES))
    assert structured.main(["--cases", str(path), "--vocabulary", "1024", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("fanlight", "llguidance"):
        assert found[name]["cases"] == VERDICTS, name
        assert all(found[name][schema]["median_us"] > 0 for schema in structured.SCHEMAS)


def test_tokens_spell_the_text():
    tokens, end = structured.token_bytes(1024)
    text = "das ist größer als 3.25".encode()
    ids = structured.encoded(text, {token: i for i, token in enumerate(tokens) if i != end})
    assert b"".join(tokens[i] for i in ids) == text and len(ids) < len(text)
