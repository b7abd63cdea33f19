"""Every example of docs/input.md is read by the code it describes."""

import doctest
import re
from pathlib import Path

import pytest

from structdiff.spec import parse_contigs, read_complex, read_design
from structdiff.spec.design import DesignSpec
from structdiff.spec.design_keys import KEYS

PAGE = Path(__file__).parents[2] / "docs" / "input.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
FILES = ("known.cif", "one.cif", "other.cif", "target.pdb")


def blocks(kind):
    found = [body for name, body in BLOCKS if name == kind]
    assert found, f"docs/input.md has no {kind} block"
    return found


INPUTS = [(kind, body) for kind in ("fasta", "yaml", "json") for body in blocks(kind)]


@pytest.mark.parametrize(("kind", "body"), INPUTS)
def test_files(kind, body, tmp_path):
    for name in FILES:
        (tmp_path / name).write_text("a file")
    (tmp_path / "mine.cif").write_text("".join(blocks("mmcif")))
    path = tmp_path / f"example.{kind}"
    path.write_text(body, encoding="utf-8")
    if "contigs:" in body:
        assert isinstance(read_design(path), DesignSpec)
    else:
        assert read_complex(path).chain_ids[0] == "A"


def test_every_key_of_a_design_is_named():
    named = re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert set(KEYS) - set(named) == set()


def test_contigs():
    for line in "".join(blocks("contigs")).splitlines():
        assert parse_contigs(str(parse_contigs(line))) == parse_contigs(line)


def test_python():
    results = doctest.DocTestRunner().run(
        doctest.DocTestParser().get_doctest("".join(blocks("python")), {}, "input.md", str(PAGE), 0)
    )
    assert results.failed == 0
    assert results.attempted >= 5
