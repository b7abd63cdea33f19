import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structdiff.errors import InputError
from structdiff.spec.document import Node, document_from_data
from structdiff.spec.document_text import parse_json_document, parse_yaml_document

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def plain(node: Node):
    if isinstance(node.value, dict):
        return {name: plain(value) for name, value in node.value.items()}
    if isinstance(node.value, list):
        return [plain(value) for value in node.value]
    return node.value if node.quoted else json.loads(node.value)


@given(JSON_VALUES, st.sampled_from([None, 0, 2]))
def test_json_is_read_as_the_standard_library_reads_it(value, indent):
    assert plain(parse_json_document(json.dumps(value, indent=indent))) == value


@given(JSON_VALUES)
def test_json_text_and_plain_data_make_the_same_tree(value):
    assert plain(document_from_data(value)) == plain(parse_json_document(json.dumps(value)))


def test_lines_and_keys():
    root = parse_json_document('{\n "a": [\n  1,\n  {"b":\n "x\\ny"}]}')
    second = root.fields(("a",))["a"].items()[1]
    assert (second.line, second.key) == (4, "a[2]")
    assert (second.fields(("b",))["b"].line, second.fields(("b",))["b"].key) == (5, "a[2].b")
    assert second.key_lines == {"b": 4}
    again = parse_yaml_document("a:\n- 1\n- b:\n    x\n")
    assert again.fields(("a",))["a"].items()[1].fields(("b",))["b"].line == 4


def test_deeply_nested_files_are_refused():
    for parse in (parse_json_document, parse_yaml_document):
        with pytest.raises(InputError, match="nested too deeply"):
            parse("[" * 50_000 + "]" * 50_000)


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("5", Node.integer, 5),
        ("-5", Node.integer, -5),
        ("'5'", Node.integer, 5),
        ("1e3", Node.number, 1000.0),
        ("2", Node.number, 2.0),
        ("yes", Node.boolean, True),
        ("False", Node.boolean, False),
        ("'null'", Node.text, "null"),
        ("017", Node.text, "017"),
    ],
)
def test_scalars(text, read, expected):
    assert read(parse_yaml_document(text)) == expected


@pytest.mark.parametrize(
    ("text", "read"),
    [("5.0", Node.integer), ("[5]", Node.integer), ("x", Node.number), ("'true'", Node.boolean), ("~", Node.text),
     ("{a: 1}", Node.items), ("[]", Node.text), ("1_000", Node.integer), ("²", Node.integer)],
)  # fmt: skip
def test_wrong_scalars(text, read):
    with pytest.raises(InputError, match="line 1: expected"):
        read(parse_yaml_document(text))
