"""One entry under ``chains`` of a query of OpenFold 3."""

from __future__ import annotations

import re
from collections.abc import Mapping

from structdiff.spec.chain import CHAIN_KINDS, LETTERS, UNKNOWN_LETTER, ChainSpec, Modification
from structdiff.spec.document import Node
from structdiff.spec.openfold3_alignments import MAIN, PAIRED, USE_KEYS, alignments, paired_alignments
from structdiff.spec.openfold3_templates import TEMPLATE_KEYS, parse_templates
from structdiff.spec.template import TemplateSpec

_CHANGES = "non_canonical_residues"
_KEYS = (
    "molecule_type", "chain_ids", "description", "sequence", _CHANGES, "cyclic", "smiles", "ligand_name", "ccd_codes",
    "sdf_file_path", *USE_KEYS, MAIN, PAIRED, *TEMPLATE_KEYS, "starting_residue_number",
)  # fmt: skip
#: Names that errors about a chain use, and the keys they are about.
_RENAMED = {"id": "chain_ids", "ccd": "ccd_codes", "sdf": "sdf_file_path", "modifications": _CHANGES}
_UNSUPPORTED = {
    "ligand_name": "components are not named: those of SMILES get codes that the wwPDB keeps free (LIG, DRG, ...); "
                   "leave the key out",
    "starting_residue_number": "residues are numbered from 1; leave the key out",
}  # fmt: skip


def parse_chain(node: Node, query: Mapping[str, Node]) -> tuple[ChainSpec, tuple[TemplateSpec, ...], dict[str, Node]]:
    """The chain, the templates of its copies, and its fields; query: those beside the chains. Raises InputError."""
    fields = node.fields(_KEYS, required=("molecule_type", "chain_ids"))
    for key, message in _UNSUPPORTED.items():
        if key in fields:
            fields[key].fail(message)
    kind = fields["molecule_type"].text().lower()
    if kind not in CHAIN_KINDS:
        fields["molecule_type"].fail("unknown kind of molecule", found=fields["molecule_type"].text(),
                                     allowed=CHAIN_KINDS, suggest_from=CHAIN_KINDS)  # fmt: skip
    changes = _parse_changes(fields[_CHANGES]) if _CHANGES in fields else ()
    sequence = fields["sequence"].text() if "sequence" in fields else ""
    places = fields | {name: fields[key] for name, key in _RENAMED.items() if key in fields}
    for key in (MAIN, PAIRED):
        if key in fields:
            places["msa"] = fields[key]
    with node.located(places):
        msa = alignments(kind, query, fields)
        chain = ChainSpec(
            ids=tuple(each.text() for each in fields["chain_ids"].one_or_more()),
            kind=kind,
            sequence=_with_unknown(sequence, kind, changes) if kind in LETTERS else sequence,
            modifications=changes,
            ccd=tuple(each.text() for each in fields["ccd_codes"].one_or_more()) if "ccd_codes" in fields else (),
            smiles=fields["smiles"].text() if "smiles" in fields else None,
            sdf=fields["sdf_file_path"].file() if "sdf_file_path" in fields else None,
            msa=msa,
            paired_msa=paired_alignments(msa, query, fields),
            cyclic=fields["cyclic"].boolean() if "cyclic" in fields else False,
            description=fields["description"].text() if "description" in fields else "",
        )
    return chain, parse_templates(chain, fields), fields


def _parse_changes(node: Node) -> tuple[Modification, ...]:
    if not isinstance(node.value, dict):
        node.fail("expected CCD codes by position", allowed='{"1": "MHO", "5": "SEP"}')
    found = []
    for position, ccd in node.value.items():
        if not re.fullmatch(r"\d+", position, re.ASCII):
            ccd.fail("a position is a whole number, counted from 1", found=position)
        with ccd.located():
            found.append(Modification(position=int(position), ccd=ccd.text()))
    return tuple(found)


def _with_unknown(sequence: str, kind: str, changes: tuple[Modification, ...]) -> str:
    """The sequence with the unknown letter where one that no such chain has is replaced by a component anyway.

    OpenFold 3 does not look at the letters there (its own example has U in DNA, for pseudouridine).
    """
    letters = list(sequence)
    for change in changes:
        place = change.position - 1
        if place < len(letters) and letters[place].upper() not in LETTERS[kind]:
            letters[place] = UNKNOWN_LETTER[kind]
    return "".join(letters)
