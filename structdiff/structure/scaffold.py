"""From a design's layout and its motif to the molecules that are to be completed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from structdiff.chemistry.residues import BACKBONE_ATOMS, is_standard
from structdiff.errors import InputError
from structdiff.spec.design_grammar import Disulfide
from structdiff.spec.layout import Layout
from structdiff.spec.layout_residue import LayoutResidue
from structdiff.spec.segments import ResidueId
from structdiff.structure.build import AtomAddress, ChainSequence, build_structure
from structdiff.structure.held_parts import Held, held_names, let_go
from structdiff.structure.motif_residues import ligand_residues, motif_residues
from structdiff.structure.residue_bonds import are_disulfides, bonds_between_residues
from structdiff.structure.tables import BondTable, ChainKind, Structure


@dataclass(frozen=True, kw_only=True)
class Scaffold:
    """A design before it is drawn: its residues, of which those of the motif stand where the motif has them.

    structure: new residues are UNK; motif atoms are resolved, all others are not. residue_group: motif group of each
    residue, 0 for new ones.
    """

    structure: Structure
    residue_group: np.ndarray


_SMALLEST_RING = 3


def build_scaffold(
    layout: Layout,
    motif: Structure | None,
    *,
    cyclic: tuple[str, ...] = (),
    disulfides: tuple[Disulfide, ...] = (),
    held: Held | None = None,
    retyped: Collection[ResidueId] = (),
    incomplete: frozenset[ResidueId] = frozenset(),
    name: str = "",
) -> Scaffold:
    """The molecules of one design; raises InputError where the motif lacks atoms that it must hold.

    disulfides: pairs of the design's residues, which become cysteines. held: of which residues of the motif only the
    backbone or the tip is held; retyped: which of them get a new amino acid. incomplete: residues of which not all of
    the backbone needs to have been seen.
    """
    rows = {} if motif is None else motif_residues(motif) | ligand_residues(motif)
    bonds = [tuple(_place(layout, *end) for end in bond) for bond in disulfides]
    ends = [each for bond in bonds for each in bond]
    cysteines = set(ends)
    if twice := next((each for each in ends if ends.count(each) > 1), None):
        raise InputError("a cysteine has one disulfide", key="disulfides", found=f"{twice[0]}{twice[1]}")
    chains = []
    for chain, residues in layout.chains.items():
        own_cysteines = {number for name, number in cysteines if name == chain}
        chains.append(_chain(chain, residues, motif, rows, chain in cyclic, own_cysteines, retyped))
    components = None if motif is None else motif.components
    asked = [((*one, "SG"), (*other, "SG")) for one, other in bonds]
    kept = [] if motif is None else _kept_bonds(layout, motif, rows, held or {}, retyped)
    kept = [bond for bond in kept if cysteines.isdisjoint(end[:2] for end in bond)]
    structure = build_structure(chains, bonds=[*asked, *kept], components=components, name=name)
    structure = _without_bridged_gaps(structure, layout)
    positions = np.zeros((len(structure.atoms), 3), np.float32)
    resolved = np.zeros(len(structure.atoms), bool)
    for place, residue in enumerate(layout.residues):
        if residue.origin is not None and motif is not None:
            known = _known_atoms(motif, rows[residue.origin])
            if residue.origin not in incomplete:
                _check_backbone(structure, place, residue.origin, known)
            _copy_residue(structure, place, known, positions, resolved)
            part = (held or {}).get(residue.origin)
            if part is not None:
                let_go(structure, place, residue.origin, part, resolved)
    positions[~resolved] = 0
    return Scaffold(
        structure=structure.with_positions(positions, resolved=resolved),
        residue_group=np.array([residue.group if residue.origin else 0 for residue in layout.residues], np.int32),
    )


def _kept_bonds(
    layout: Layout, motif: Structure, rows: Mapping[ResidueId, int], held: Held, retyped: Collection[ResidueId]
) -> list[tuple[AtomAddress, AtomAddress]]:
    """The motif's disulfides, ring closures and links of ligands and glycans of which the design holds both ends.

    Disulfides stay also where cysteines move, as partial diffusion lets them, and keep their types.
    """
    places: dict[int, tuple[str, int, ResidueId]] = {}
    moving = set()
    for chain, residues in layout.chains.items():
        for place, residue in enumerate(residues, start=1):
            if residue.origin is not None and residue.origin not in retyped:
                places[rows[residue.origin]] = (chain, place, residue.origin)
            elif residue.instead_of is not None and residue.keeps_type:
                places[rows[residue.instead_of]] = (chain, place, residue.instead_of)
                moving.add((chain, place))
    found, disulfide = [], are_disulfides(motif)
    for row in bonds_between_residues(motif).tolist():
        ends = []
        for atom in (motif.bonds.atom_1[row], motif.bonds.atom_2[row]):
            residue, name = int(motif.atoms.residue[atom]), str(motif.atoms.name[atom])
            if residue in places:
                chain, place, origin = places[residue]
                if name in held_names(held.get(origin), str(motif.residues.name[residue]), (name,)):
                    ends.append((chain, place, name))
        still = moving.isdisjoint(end[:2] for end in ends)
        if len(ends) == 2 and (still or disulfide[row]):
            found.append((ends[0], ends[1]))
    return found


def _chain(
    name: str,
    residues: tuple[LayoutResidue, ...],
    motif: Structure | None,
    rows: dict[ResidueId, int],
    cyclic: bool,
    cysteines: set[int],
    retyped: Collection[ResidueId],
) -> ChainSequence:
    if cyclic and len(residues) < _SMALLEST_RING:
        raise InputError("too few residues to close a ring", key="cyclic", found=f"{name}: {len(residues)}",
                         allowed=f"at least {_SMALLEST_RING}")  # fmt: skip
    kinds, names = set(), []
    for number, residue in enumerate(residues, start=1):
        if number in cysteines and residue.origin is not None:
            raise InputError("the residue is one of the motif's: a disulfide is made of new ones", key="disulfides",
                             found=f"{name}{number}")  # fmt: skip
        if residue.origin is None or motif is None:
            names.append("CYS" if number in cysteines else _kept_type(residue, motif, rows))
            kinds.add(ChainKind.PROTEIN)
        else:
            row = rows[residue.origin]
            kind, component = (
                ChainKind(int(motif.chains.kind[motif.residues.chain[row]])),
                str(motif.residues.name[row]),
            )
            # A modified residue has no letter that the network could replace: it begins as a new residue does.
            modified = kind == ChainKind.PROTEIN and not is_standard(component)
            names.append("UNK" if modified and residue.origin in retyped else component)
            kinds.add(kind)
    if len(kinds) > 1:
        raise InputError(
            f"chain {name} of the design would mix {' and '.join(sorted(kind.name for kind in kinds))}", key="contigs"
        )
    return ChainSequence(
        name=name,
        kind=kinds.pop(),
        residues=tuple(names),
        cyclic=cyclic,
        author_seq_ids=tuple(residue.number for residue in residues),
        insertion_codes=tuple(residue.insertion_code for residue in residues),
    )


def _kept_type(residue: LayoutResidue, motif: Structure | None, rows: dict[ResidueId, int]) -> str:
    """The type of a new residue: that of the one whose place it takes, where it is to keep it, else unknown."""
    if residue.instead_of is None or motif is None:
        return "UNK"
    row = rows[residue.instead_of]
    kind = ChainKind(int(motif.chains.kind[motif.residues.chain[row]]))
    if kind != ChainKind.PROTEIN:
        raise InputError(f"only proteins are designed, and {residue.instead_of} belongs to {kind.name}", key="contigs",
                         found=str(residue.instead_of), allowed="hold it")  # fmt: skip
    return str(motif.residues.name[row]) if residue.keeps_type else "UNK"


def _known_atoms(motif: Structure, row: int) -> dict[str, np.ndarray]:
    """Where the atoms of a motif's residue are that were seen."""
    source = motif.residue_atoms(row)
    seen = motif.atoms.resolved[source]
    return dict(zip(motif.atoms.name[source][seen].tolist(), motif.atoms.positions[source][seen], strict=True))


def _copy_residue(
    design: Structure, place: int, known: Mapping[str, np.ndarray], positions: np.ndarray, resolved: np.ndarray
) -> None:
    """Motif atoms to the atoms of the same name."""
    target = design.residue_atoms(place)
    for offset, atom in enumerate(design.atoms.name[target].tolist()):
        if atom in known:
            positions[target.start + offset] = known[atom]
            resolved[target.start + offset] = True


def _check_backbone(design: Structure, place: int, origin: ResidueId, known: Mapping[str, np.ndarray]) -> None:
    """Raises InputError where not the whole backbone of a residue was seen."""
    names = design.atoms.name[design.residue_atoms(place)].tolist()
    needed = [atom for atom in BACKBONE_ATOMS if atom in names] if "CA" in names else []
    missing = [atom for atom in needed if atom not in known]
    if missing:
        raise InputError(
            f"motif residue {origin} lacks backbone atom {missing[0]}, so it cannot be held", key="contigs",
            found=", ".join(sorted(known)) or "no atoms", allowed="residues with N, CA, C and O",
        )  # fmt: skip


def _place(layout: Layout, chain: str, number: int) -> tuple[str, int]:
    """Chain and place in it (from 1) of a residue of the design, whose number may count from the end."""
    length = len(layout.chains.get(chain, ()))
    if not 1 <= abs(number) <= length:
        raise InputError(f"chain {chain} has residues 1 to {length}", key="disulfides", found=f"{chain}{number}")
    return chain, number if number > 0 else length + 1 + number


def _without_bridged_gaps(structure: Structure, layout: Layout) -> Structure:
    """No bond between neighbours of a chain that is kept whole where the motif's file has residues between them."""
    residues = layout.residues
    gap = np.zeros(len(residues), bool)
    for place in range(1, len(residues)):
        before, after = residues[place - 1].origin, residues[place].origin
        kept = residues[place].chain_is_fixed and residues[place].chain == residues[place - 1].chain
        if kept and before is not None and after is not None:
            gap[place] = before.chain != after.chain or not 0 <= after.number - before.number <= 1
    if not gap.any():
        return structure
    first, second = (structure.atoms.residue[ends] for ends in (structure.bonds.atom_1, structure.bonds.atom_2))
    crossing = (np.abs(first - second) == 1) & gap[np.maximum(first, second)]
    kept = {field.name: getattr(structure.bonds, field.name)[~crossing] for field in dataclasses.fields(BondTable)}
    return dataclasses.replace(structure, bonds=BondTable(**kept))
