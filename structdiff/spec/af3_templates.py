"""How JSON of AlphaFold 3 names the templates of a chain: a structure, and which residues belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from structdiff.spec.document import Node
from structdiff.spec.template import TemplateSpec, format_residue_map
from structdiff.spec.text_source import file_source, text_source

_INSIDE, _PATH = "mmcif", "mmcifPath"
_QUERY, _TEMPLATE = "queryIndices", "templateIndices"


def chain_templates(fields: Mapping[str, Node], chains: Sequence[str]) -> Iterator[TemplateSpec]:
    """The templates of a protein, for each of its copies. Raises InputError.

    Indices count from 0, ours from 1.
    """
    for node in fields["templates"].items() if "templates" in fields else ():
        parts = node.fields((_INSIDE, _PATH, _QUERY, _TEMPLATE), required=(_QUERY, _TEMPLATE))
        given = [key for key in (_INSIDE, _PATH) if key in parts]
        if len(given) != 1:
            node.fail(f"a template has either {_INSIDE!r} or {_PATH!r}", found=" and ".join(given) or "neither")
        source = text_source(parts[_INSIDE]) if _INSIDE in parts else file_source(parts[_PATH])
        numbers = [[_number(each) for each in parts[key].items()] for key in (_QUERY, _TEMPLATE)]
        if len(numbers[0]) != len(numbers[1]):
            node.fail(
                f"{_QUERY} and {_TEMPLATE} must be equally many", found=f"{len(numbers[0])} and {len(numbers[1])}"
            )
        for chain in chains if numbers[0] else ():  # without any nothing of this template belongs to the chain
            with node.located():
                residues = format_residue_map(sorted(zip(*numbers, strict=True)))
                yield TemplateSpec(path=source, chains=(chain,), residue_map=residues)


def _number(node: Node) -> int:
    number = node.integer()
    if number < 0:
        node.fail("indices count from 0", found=number)
    return number + 1
