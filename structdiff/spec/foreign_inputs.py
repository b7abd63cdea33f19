"""Inputs of other programs, told as what they are where a file of another kind is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from structdiff.errors import InputError
from structdiff.spec.document import Node

_MOLECULES = "which is not read: write its molecules as FASTA or YAML (docs/input.md), or as AlphaFold 3 JSON"
_DESIGN = "which is not read: write its motif, contigs and hotspots as YAML (docs/design.md)"
_PREDICT = "which structdiff predict reads"
_IMPORT = "which structdiff import makes a design of"
#: Keys at the top of other programs' files, none of which is a key of a file of ours.
_PROGRAMS = {
    **dict.fromkeys(("protein_inputs", "na_inputs", "sm_inputs", "job_name"), ("RoseTTAFold All-Atom", _MOLECULES)),
    "entities": ("BoltzGen", _IMPORT),
    **dict.fromkeys(("starting_pdb", "binder_name", "target_hotspot_residues"), ("BindCraft", _DESIGN)),
    "contigmap": ("RFdiffusion", _IMPORT),
    **dict.fromkeys(("input", "unindex", "select_fixed_atoms", "select_hotspots"), ("RFdiffusion3", _IMPORT)),
}  # fmt: skip
_HYDRA = "defaults"  # where a complex is wanted it is RoseTTAFold All-Atom's, else it may be RFdiffusion's
_CONSTRAINTS = "constraints"  # of complexes, whose other keys tell them first
FASTA_SUFFIXES = (".fasta", ".fa", ".faa", ".fna", ".fas")
#: Keys of complexes, in files of ours, Boltz, AlphaFold 3 and OpenFold 3.
_OF_COMPLEXES = ("sequences", "modelSeeds", "dialect", "queries")
_DIALECT = "dialect"  # AlphaFold 3's is a name, RFdiffusion3's a number
#: Keys of designs that no complex has.
_OF_DESIGNS = ("motif", "contigs", "hotspots", "num_designs")


def refuse_foreign(root: Node, *, complexes: bool = False, imports: bool = False) -> None:
    """Raises InputError for a file of a program whose files are not read here, by its name and with the way out.

    complexes: whether complexes are read here; imports: whether files of RFdiffusion and BoltzGen are.
    """
    for name, line in _names(root):
        if name in _OF_COMPLEXES and not complexes:
            _fail(root, "this is a complex to be predicted", _PREDICT, name, line)
        if name in _OF_DESIGNS and complexes:
            _fail(root, "this is a design", "which structdiff design reads", name, line)
        if name in _PROGRAMS or (name == _HYDRA and complexes):
            program, way = _PROGRAMS.get(name, ("RoseTTAFold All-Atom", _MOLECULES))
            if not (imports and way == _IMPORT):
                _fail(root, f"this is an input of {program}", way, name, line)
    for name, line in _own_names(root):
        if name == _CONSTRAINTS and not complexes and not imports:
            raise InputError("a complex has constraints; a design has hotspots, keep_away, disulfides and energies",
                             path=root.path, line=line, found=name)  # fmt: skip


def refuse_fasta(path: Path) -> None:
    """Raises InputError for a FASTA file where a design is wanted."""
    if path.suffix.lower() in FASTA_SUFFIXES:
        raise InputError(f"this is a complex to be predicted, {_PREDICT}", path=path)


def _names(root: Node) -> Iterator[tuple[str, int | None]]:
    """The keys at the top with their lines, and those one level below of files that hold several by their names."""
    yield from _own_names(root)
    below = root.value.values() if isinstance(root.value, dict) else root.value if isinstance(root.value, list) else ()
    for each in below:
        for name, line in _own_names(each):
            if name in _OF_COMPLEXES or _PROGRAMS.get(name, ("", ""))[1] == _IMPORT:
                yield name, line


def _own_names(node: Node) -> Iterator[tuple[str, int | None]]:
    for name, below in node.value.items() if isinstance(node.value, dict) else ():
        if name != _DIALECT or not str(below.value).isdigit():
            yield name, node.key_lines.get(name)


def _fail(root: Node, what: str, way: str, name: str, line: int | None) -> None:
    raise InputError(f"{what}, {way}", path=root.path, line=line, found=name)
