"""Templates that JSON of OpenFold 3 names for a chain: mmCIF files, and chains of them by ``label_asym_id``."""

from __future__ import annotations

from collections.abc import Mapping

import gemmi

from structdiff.spec.chain import ChainSpec
from structdiff.spec.document import Node
from structdiff.spec.template import TemplateSpec

_FILES, _CHAINS = "template_cif_paths", "template_cif_chain_ids"
_ALIGNED = ("template_alignment_file_path", "template_entry_chain_ids")
TEMPLATE_KEYS = (*_ALIGNED, _FILES, _CHAINS)


def parse_templates(chain: ChainSpec, fields: Mapping[str, Node]) -> tuple[TemplateSpec, ...]:
    """The templates of each copy of a chain, by itself, as OpenFold 3 takes them. Raises InputError."""
    for key in _ALIGNED:
        if key in fields and fields[key].one_or_more():
            fields[key].fail(f"alignments to templates are not read; leave the key out, or name a structure under "
                             f"{_FILES!r}")  # fmt: skip
    files = fields[_FILES].one_or_more() if _FILES in fields else []
    names = fields[_CHAINS].one_or_more() if _CHAINS in fields else [None] * len(files)
    if len(names) != len(files):
        fields[_CHAINS].fail(f"there must be a chain, or null, for each of {_FILES!r}", found=len(names),
                             allowed=str(len(files)))  # fmt: skip
    if files and chain.kind != "protein":
        fields[_FILES].fail("templates are of proteins", found=f"{chain.ids[0]}, a {chain.kind}")
    found = [(node.file(), _author_name(node, name)) for node, name in zip(files, names, strict=True)]
    return tuple(
        TemplateSpec(path=path, chains=(copy,), template_chains=(source,))
        for path, source in found
        for copy in chain.ids
    )


def _author_name(node: Node, asked: Node | None) -> str:
    """What the file's authors call the chain that is asked for by its label, or the only protein chain."""
    proteins = _protein_chains(node)
    if asked is not None and not asked.is_null:
        if asked.text() not in proteins:
            asked.fail("this template has no protein chain of that label_asym_id", found=asked.text(),
                       allowed=proteins or "none", suggest_from=proteins)  # fmt: skip
        return proteins[asked.text()]
    if len(proteins) != 1:
        node.fail(f"say under {_CHAINS!r} which chain of this template is meant" if proteins
                  else "this template has no protein", found=node.text(), allowed=proteins or None)  # fmt: skip
    return next(iter(proteins.values()))


def _protein_chains(node: Node) -> dict[str, str]:
    """The authors' names of chains of amino acids by their ``label_asym_id``."""
    try:
        block = gemmi.cif.read(node.file())[0]
    except (OSError, ValueError, IndexError, RuntimeError):
        node.fail("this is no mmCIF file", found=node.text())
    columns = ["group_PDB", "label_atom_id", "label_asym_id", "?auth_asym_id"]
    return {
        row.str(2): row.str(3) if row.has(3) else row.str(2)
        for row in block.find("_atom_site.", columns)
        if row.str(0) == "ATOM" and row.str(1) == "CA"
    }
