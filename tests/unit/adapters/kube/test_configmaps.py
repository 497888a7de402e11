"""One value of a JSON or YAML text is read and replaced; every other byte stays, or the edit is refused."""

import pytest

from pegbox.adapters.kube import configmaps
from pegbox.adapters.kube.configmaps import MAX_JSON_BYTES, MAX_YAML_BYTES, read_path, write_path
from pegbox.model.errors import InvalidInput
from pegbox.model.textpath import parse_path

YAML = """\
# the server's own
server:
  workers: 4        # one per core
  name: "eu \\"west\\""
  note: 'it''s'
  fast: yes
  ratio: 0.5
pools:
- size: 5
- {size: 7, name: main}
"a.b": {c-d: 10}
nested: [[1, 2], [3, 4]]
"""
JSON = """{
  "server": {"workers": 4, "name":"eu \\"west\\"", "fast": true , "ratio": 5e-1},
\t"pools": [ {"size":5},{"size" : 7} ],
  "a.b": {"c-d": 10}, "nested": [[1, 2], [3, 4]], "größe": "klein"
}
"""
TEXTS = pytest.mark.parametrize("text", [YAML, JSON], ids=["yaml", "json"])


@TEXTS
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        pytest.param("server.workers", "4", "16", id="a number by dots"),
        pytest.param("server.name", 'eu "west"', 'us "east" \\', id="a quoted string keeps its quotes"),
        pytest.param("server.ratio", None, "0.25", id="a fraction"),
        pytest.param("pools[0].size", "5", "50", id="an item of a list"),
        pytest.param("pools[1].size", "7", "8", id="an item in flow style"),
        pytest.param('["a.b"].c-d', "10", "11", id="a key with a dot"),
        pytest.param("nested[1][0]", "3", "33", id="lists in lists"),
    ],
)
def test_a_value_is_read_and_only_its_bytes_change(text: str, path: str, old: str | None, new: str) -> None:
    if old is not None:
        assert read_path(text, path) == old
    after = write_path(text, path, new)
    assert read_path(after, path) == new
    assert write_path(after, path, read_path(text, path)) == text
    before_lines, after_lines = text.splitlines(), after.splitlines()
    assert sum(a != b for a, b in zip(before_lines, after_lines, strict=True)) == 1


def test_the_written_yaml_reads_as_expected_byte_for_byte() -> None:
    assert write_path(YAML, "server.workers", "12") == YAML.replace("workers: 4 ", "workers: 12 ")
    assert write_path(YAML, "server.note", "isn't") == YAML.replace("'it''s'", "'isn''t'")
    assert write_path(YAML, "server.fast", "no") == YAML.replace("fast: yes", "fast: no")


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_line_endings_and_characters_beyond_the_basic_plane_stay(ending: str) -> None:
    text = ending.join(["# 🚀 ü", "name: 🚀", "workers: 4", ""])
    assert write_path(text, "workers", "5") == text.replace("4", "5")


@pytest.mark.parametrize(
    ("text", "path", "remedy"),
    [
        pytest.param(YAML, "server.missing", "no such value", id="yaml, absent"),
        pytest.param(JSON, "server.missing", "no such value", id="json, absent"),
        pytest.param(YAML, "pools[2].size", "no such value", id="yaml, beyond the end"),
        pytest.param(JSON, "pools[2].size", "no such value", id="json, beyond the end"),
        pytest.param(YAML, "server[0]", "no such value", id="an index into a mapping"),
        pytest.param(JSON, "pools.size", "no such value", id="a key into a list"),
        pytest.param(YAML, "server", "points at a mapping", id="yaml, no scalar"),
        pytest.param(JSON, "pools", "points at an object or a list", id="json, no scalar"),
        pytest.param('{"a": null}', "a", "points at null", id="json null"),
        pytest.param("a:\n", "a", "empty", id="yaml null by absence"),
        pytest.param("a: ~\n", "a", "empty", id="yaml null by sign"),
        pytest.param('{"a": 1, "a": 2}', "a", "2 times", id="json, key twice"),
        pytest.param('{"a": {"b": 1}, "a": 2}', "a.b", "2 times", id="json, parent twice"),
        pytest.param("a: 1\na: 2\n", "a", "2 times", id="yaml, key twice"),
        pytest.param("a: &x 1\nb: *x\n", "a", "anchor or alias", id="an anchored value changes its aliases"),
        pytest.param("a: &x 1\nb: *x\n", "b", "anchor or alias", id="an alias is somebody else's value"),
        pytest.param("a: &x {n: 1}\nb: *x\n", "a.n", "anchor or alias", id="inside an anchored mapping"),
        pytest.param("d: &d {n: 1}\nb:\n  <<: *d\n  m: 2\n", "b.n", "merge keys", id="only merged in"),
        pytest.param("a: !!str 5\n", "a", "tag", id="a tag"),
        pytest.param("a: |\n  5\n", "a", "several lines", id="a block scalar"),
        pytest.param("a: 5\n  6\n", "a", "several lines", id="a plain scalar over two lines"),
        pytest.param('a: "5\n  6"\n', "a", "several lines", id="a quoted scalar over two lines"),
        pytest.param("a: 1\n---\na: 2\n", "a", "2 YAML documents", id="two documents"),
        pytest.param("a: [1\n", "a", "neither JSON nor YAML", id="not parseable"),
        pytest.param('{"a": 1,}trailing', "a", "neither JSON nor YAML", id="nearly JSON"),
        pytest.param('{"a": NaN, "b": [}', "a", "neither JSON nor YAML", id="not JSON by a constant"),
        pytest.param("", "a", "YAML documents", id="empty"),
        pytest.param("\x00", "a", "neither JSON nor YAML", id="binary"),
        pytest.param("[" * 500 + "x" + "]" * 500, "[0]", "deeper", id="too deep for YAML"),
        pytest.param("[" * 100_000, "[0]", "deeper", id="too deep, and torn"),
        pytest.param("a: 1\n" + "#" * MAX_YAML_BYTES, "a", "over the limit", id="yaml too large"),
        pytest.param('{"a": 1}' + " " * MAX_JSON_BYTES, "a", "over the limit", id="json too large"),
    ],
)
def test_what_cannot_be_edited_exactly_is_refused_with_a_remedy(text: str, path: str, remedy: str) -> None:
    with pytest.raises(InvalidInput, match=remedy):
        read_path(text, path)
    with pytest.raises(InvalidInput, match=remedy):
        write_path(text, path, "3")


@pytest.mark.parametrize(
    ("text", "new", "remedy"),
    [
        pytest.param('{"a": 4}', "many", "a JSON number", id="json number to text"),
        pytest.param('{"a": 4}', "04", "a JSON number", id="json number with a leading zero"),
        pytest.param('{"a": 4}', "NaN", "a JSON number", id="json number to NaN"),
        pytest.param('{"a": 4}', '4, "b": 5', "a JSON number", id="json injection"),
        pytest.param('{"a": true}', "1", "true or false", id="json boolean to number"),
        pytest.param("a: 4\n", "many", "type int", id="yaml number to text"),
        pytest.param("a: text\n", "4", "would be int", id="yaml plain text to number"),
        pytest.param("a: text\n", "no", "would be bool", id="yaml plain text to boolean"),
        pytest.param("a: text\n", "", "would be null", id="yaml plain text to nothing"),
        pytest.param("a: text\n", "x: y", "quote the value", id="yaml plain text that would be a mapping"),
        pytest.param("a: text\n", "x # y", "quote the value", id="yaml plain text with a comment"),
        pytest.param("a: text\n", "- x", "quote the value", id="yaml plain text that would be a list"),
        pytest.param("a: text\n", "&x y", "quote the value", id="yaml plain text with an anchor"),
        pytest.param("a: text\n", "'x'", "quote the value", id="yaml plain text with quotes of its own"),
        pytest.param("a: text\n", "x\nb: 1", "line break", id="yaml line break"),
        pytest.param('a: "text"\n', "x\nb", "line break", id="yaml line break in quotes"),
        pytest.param("a: {b: text}\n", "x, c: y", "quote the value", id="yaml flow injection"),
    ],
)
def test_a_new_value_that_would_change_more_than_itself_is_refused(text: str, new: str, remedy: str) -> None:
    path = "a.b" if "{b" in text else "a"
    with pytest.raises(InvalidInput, match=remedy):
        write_path(text, path, new)


@pytest.mark.parametrize(
    "path",
    ["", ".a", "a.", "a..b", "a[", "a[x]", "a[-1]", "[0]a", "a b", 'a["', "é", "a" * 600],
    ids=lambda path: repr(path[:8]),
)
def test_a_path_that_cannot_be_read_names_the_form(path: str) -> None:
    with pytest.raises(InvalidInput, match="quoted, such as"):
        parse_path(path)


@pytest.mark.parametrize(
    "after",
    ["a: 2\nb: 2\n", "a: 2\nb: '1'\n", "a: 2\nb: 1\nc: 3\n", "a: 3\nb: 1\n", "a: [2\nb: 1\n"],
    ids=["another value", "another quoting", "another key", "another new value", "not parseable"],
)
def test_the_last_guard_sees_whatever_else_changed(after: str) -> None:
    """Should a parser's positions ever be wrong, the edit is refused and not written."""
    steps = parse_path("a")
    found = configmaps._locate("a: 1\nb: 1\n", "a", steps)
    assert configmaps._only_changed(found, "a: 2\nb: 1\n", steps, "2")
    assert not configmaps._only_changed(found, after, steps, "2")
