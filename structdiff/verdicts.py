"""What was asked of a structure, what it has reached, and whether that is what was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree

from structdiff.chemistry.double_bonds import has_form
from structdiff.constraints.covalent_tables import ORGANIC, covalent_tables
from structdiff.constraints.energy_descent import Term
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.stereocentres import stereocentres
from structdiff.evaluation.tm_score import tm_score
from structdiff.features.helices import MOST_FOLDED, PairsOfComplex
from structdiff.features.requests import Proximity, disulfide_sulphurs, is_binder
from structdiff.features.templates import Templates
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.output.prediction import Verdict
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.structure.base_pairs import FORMED, pair_atoms
from structdiff.structure.keys import residue_keys
from structdiff.structure.local_geometry import structure_double_bonds
from structdiff.structure.scaffold import left_out_atoms
from structdiff.structure.tables import ChainKind, Structure

#: How far (Å, RMSD) a finished motif may be from the given one.
MOTIF_TOLERANCE = 0.5
#: TM-score from which on two chains have one fold (Xu & Zhang 2010).
SAME_FOLD = 0.5
#: Share of the residues that must have the secondary structure they were asked to have.
FOLD_SHARE = 0.7
#: Å: a peptide bond and a disulfide bond, and how far off they may be.
PEPTIDE_BOND, DISULFIDE_BOND, BOND_TOLERANCE = 1.33, 2.03, 0.1
_METAL_TOLERANCE = 0.4  # Å: lengths of bonds to metals are typical ones, whatever the metal
#: A binder touches its target in so many pairs of residues (CA atoms within so many Å), a short one in half as many as
#: it has residues.
INTERFACE_PAIRS, INTERFACE_DISTANCE = 8, 8.0
_FEW_RESIDUES, _NEAR_START = 30, 2.0  # Å
CROP = "target crop"
#: Å: atoms of a design nearer to a part of the target that was not drawn clash with it; side chains may bond to it.
_OVERLAP, _SIDE_OVERLAP = 2.8, 2.4
#: Å: a link between residues that is longer is none; atoms of a main chain that come nearer are inside each other.
_BREAK, _INSIDE = 2.0, 2.2
_MOST_NAMED = 5  # atoms that a verdict lists
_BACKBONE = ("N", "CA", "C", "O", "P", "C1'")
#: The verdicts on how a motif is held, and on where it lies among the axes of a symmetric design.
MOTIF, MOTIF_PLACE = "motif", "motif's place"
#: How verdicts on a fold plan begin, which structdiff drew itself where the user asked for no fold.
_PLAN = "fold plan"


def motif_verdict(structure: Structure, given: Structure, held: np.ndarray) -> Verdict:
    """RMSD of every motif group to what was given, each superposed by itself; the worst counts.

    held (atom): the group that holds each atom, 0 for none. A group of which no backbone is held is judged by all its
    held atoms.
    """
    backbone = np.isin(structure.atoms.name, _BACKBONE)
    worst, whole = 0.0, False
    for group in np.unique(held[held > 0]):
        own = held == group
        plain = own & backbone
        # A residue of which tip atoms alone are held has no backbone to judge it by.
        bare = np.setdiff1d(structure.atoms.residue[own], structure.atoms.residue[plain])
        rows = torch.from_numpy(plain | (own & np.isin(structure.atoms.residue, bare)))
        whole |= bool(len(bare))
        now, before = (torch.from_numpy(s.atoms.positions.astype(np.float64)) for s in (structure, given))
        worst = max(worst, float(superposed_rmsd(now, before, mask=rows)))
    what = "backbone, and atoms held without it," if whole else "backbone"
    return Verdict(
        name=MOTIF,
        asked=f"{what} within {MOTIF_TOLERANCE} Å RMSD",
        reached=f"{worst:.2f} Å RMSD",
        met=worst <= MOTIF_TOLERANCE,
    )


def start_verdict(structure: Structure, given: np.ndarray, begun: np.ndarray) -> Verdict:
    """Whether a structure that partial diffusion began with is still to be recognised, by the CA of what has changed.

    Of few residues a TM-score asks for less than 1 Å: there a small RMSD does as well.

    given (atom, 3): where atoms began (Å); begun (atom): which backbone atoms count.
    """
    rows = begun & (structure.atoms.name == "CA") & structure.atoms.resolved
    now, before = structure.atoms.positions[rows].astype(np.float64), given[rows]
    found = float(tm_score(now, before).score) if len(now) >= 3 else 1.0
    away = float(superposed_rmsd(torch.from_numpy(now), torch.from_numpy(before)))
    few = len(now) < _FEW_RESIDUES
    or_near = f", or {_NEAR_START:g} Å RMSD" if few else ""
    return Verdict(
        name="start",
        asked=f"the fold it began with (TM-score {SAME_FOLD} or more{or_near})",
        reached=f"TM-score {found:.2f}, {away:.1f} Å RMSD (CA)",
        met=found >= SAME_FOLD or (few and away <= _NEAR_START),
    )


def template_verdicts(templates: Templates, structure: Structure) -> list[Verdict]:
    """RMSD of the main chain to each template, superposed by itself, against its threshold where it has one."""
    main, found = np.isin(structure.atoms.name, _BACKBONE), []
    for group, asked in enumerate(templates.asked, start=1):
        if asked.threshold is None:
            continue
        rows = torch.from_numpy(main & (templates.group == group))
        now, given = (torch.from_numpy(x.astype(np.float64)) for x in (structure.atoms.positions, templates.positions))
        off = float(superposed_rmsd(now, given, mask=rows))
        found.append(
            Verdict(
                name=f"template {Path(asked.path).name}",
                asked=f"backbone within {asked.threshold:g} Å RMSD",
                reached=f"{off:.2f} Å RMSD",
                met=off <= asked.threshold,
            )
        )
    return found


def proximity_verdict(asked: Proximity, structure: Structure, group: SymmetryGroup | None = None) -> Verdict:
    """The shortest distance between the two sets of atoms, of those that were placed.

    group: the structure is one copy of an assembly, in which the second set is that of all copies.
    """
    nearest = _nearest(structure, asked.first, asked.second, group)
    met = nearest >= asked.bound if asked.avoid else nearest <= asked.bound
    words = "at least" if asked.avoid else "within"
    return Verdict(name=asked.name, asked=f"{words} {asked.bound:g} Å", reached=f"{nearest:.1f} Å", met=met)


def design_verdicts(
    spec: DesignSpec,
    layout: Layout,
    structure: Structure,
    *,
    user: DesignSpec,
    terms: Iterable[Term],
    placed: torch.Tensor,
    motif: Structure | None,
    built: Structure | None = None,
) -> list[Verdict]:
    """Verdicts on a design's fold, its bonds, its target and its energies.

    structure: the design in the motif's frame with all of its target, atoms that are not built unresolved. user: what
    was asked for, to which ``spec`` adds the fold plan that was drawn where there is one. terms: those of the energies
    in their order, then others; they see ``placed`` [atom, 3] (Å), what was drawn. built: the structure with the side
    chains of new residues, once it has them.
    """
    planned = user.secondary_structure is None
    found = _fold_verdicts(spec, layout, structure, planned=planned) + _bond_verdicts(spec, layout, structure)
    found += backbone_verdicts(structure, layout)
    found += handedness_verdicts(structure if built is None else built) + double_bond_verdicts(structure, layout)
    if is_binder(layout) and any(_polymer_target(layout, spec)):
        found.append(_target_verdict(spec, layout, structure))
    if spec.left_out and motif is not None:
        found.append(crop_verdict(spec, layout, structure, motif))
    for place, term in enumerate(terms):
        if term.reached is None:
            continue
        reached, requested = term.reached(placed), not len(user.energies) <= place < len(spec.energies)
        verdict = Verdict(name=term.name, asked=term.asked, reached=reached.text, met=reached.met)
        found.append(verdict if requested else plan_verdict(verdict))
    return found


def plan_verdict(verdict: Verdict) -> Verdict:
    """The same verdict as one on a fold plan, which is ours and no request."""
    return dataclasses.replace(verdict, name=f"{_PLAN}: {verdict.name}", requested=False)


def is_of_fold(name: str) -> bool:
    """Whether a verdict of that name is on helices and strands side by side, which only a fold asks for."""
    return name.startswith("blocks ")


def _fold_verdicts(spec: DesignSpec, layout: Layout, structure: Structure, *, planned: bool) -> list[Verdict]:
    """How much of the secondary structure was followed. planned: it was not asked for, but drawn as a fold plan."""
    if spec.secondary_structure is None:
        return []
    letters = np.array(list(spec.secondary_structure_of(layout)))
    backbone = Backbone.from_structure(structure)
    made = np.full(len(letters), "?")
    protein = np.flatnonzero(structure.chains.kind[structure.residues.chain] == 0)
    made[protein] = secondary_structure(backbone)
    asked = letters != "?"
    if not asked.any():
        return []
    share = float((letters[asked] == made[asked]).mean())
    verdict = Verdict(
        name="secondary structure",
        asked=f"at least {100 * FOLD_SHARE:.0f} % of {int(asked.sum())} residues",
        reached=f"{100 * share:.0f} %",
        met=share >= FOLD_SHARE,
    )
    return [plan_verdict(verdict) if planned else verdict]


def _bond_verdicts(spec: DesignSpec, layout: Layout, structure: Structure) -> list[Verdict]:
    names, found = structure.atoms.name, []
    for chain in spec.cyclic:
        span = structure.chain_residues(int(np.flatnonzero(structure.chains.name == chain)[0]))
        last, first = structure.residue_atoms(span.stop - 1), structure.residue_atoms(span.start)
        ends = (last.start + names[last].tolist().index("C"), first.start + names[first].tolist().index("N"))
        found.append(_bond_verdict(f"cyclic {chain}", structure, ends, PEPTIDE_BOND))
    if spec.disulfides:
        for ends in disulfide_sulphurs(structure):
            places = [layout.residues[int(structure.atoms.residue[end])] for end in ends]
            if all(place.origin is None for place in places):
                label = "-".join(str(place.id) for place in places)
                found.append(_bond_verdict(f"disulfide {label}", structure, ends, DISULFIDE_BOND))
    return found


def bond_verdicts(asked: Iterable[tuple[str, tuple[int, int]]], structure: Structure) -> list[Verdict]:
    """Whether covalent bonds that were asked for (name and rows of both atoms) are as long as such bonds are."""
    if not (asked := list(asked)):
        return []
    tables = covalent_tables(structure)
    ideal = dict(zip(map(tuple, np.sort(tables.bonds, axis=1).tolist()), tables.distance.tolist(), strict=False))
    metal = ~np.isin(structure.atoms.element, ORGANIC)
    return [
        _bond_verdict(name, structure, ends, ideal[ends], _METAL_TOLERANCE if metal[[*ends]].any() else BOND_TOLERANCE)
        for name, ends in asked
        if ends in ideal
    ]


def base_pair_verdicts(pairs: PairsOfComplex, structure: Structure) -> list[Verdict]:
    """How many of the base pairs that were asked for, and of those that were predicted, have their hydrogen bonds."""
    found = []
    for what, rows in (("asked for", pairs.asked), ("predicted from the sequences", pairs.predicted)):
        if not len(rows):
            continue
        atoms = pair_atoms(structure, rows, pairs.letters)
        formed = int((atoms.errors(structure) <= FORMED).sum())
        found.append(
            Verdict(
                name="base pairs" if rows is pairs.asked else "predicted base pairs",
                asked=f"{len(rows)} {what}: {_dots_and_brackets(rows, pairs.letters, structure)}",
                reached=f"{formed} of {len(rows)} with all hydrogen bonds",
                met=formed == len(rows),
                requested=rows is pairs.asked,
            )
        )
    if pairs.unfolded:
        reached = f"none: pairs of {MOST_FOLDED} nucleotides at most are predicted, others must be given (base_pairs)"
        found.append(
            Verdict(
                name="predicted base pairs", asked=f"those of {pairs.unfolded} nucleotides", reached=reached, met=False,
                requested=False,
            )
        )  # fmt: skip
    return found


def _dots_and_brackets(pairs: np.ndarray, letters: np.ndarray, structure: Structure) -> str:
    """The chains that pair, each with a sign for every nucleotide; crossing pairs have the same brackets as others."""
    signs = np.full(len(letters), ".")
    signs[pairs.min(1)], signs[pairs.max(1)] = "(", ")"
    chains = np.unique(structure.residues.chain[pairs])
    return ", ".join(
        f"{structure.chains.name[chain]} {''.join(signs[structure.chain_residues(chain)])}" for chain in chains.tolist()
    )


def backbone_verdicts(structure: Structure, layout: Layout | None = None) -> list[Verdict]:
    """Whether protein chains (of designs: those with new residues) are whole and keep off themselves and each other.

    None where there is no such chain.
    """
    atoms = structure.atoms
    designed = np.ones(len(structure.residues), bool)
    if layout is not None:
        designed = np.array([not residue.chain_is_fixed for residue in layout.residues])
    protein = structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN
    rows = np.flatnonzero(
        (designed & protein)[atoms.residue] & atoms.resolved & np.isin(atoms.name, ("N", "CA", "C", "O", "CB"))
    )
    if not len(rows):
        return []
    bonds = structure.bonds
    links = np.stack([bonds.atom_1, bonds.atom_2], -1)
    links = links[np.isin(links, rows).all(-1) & (atoms.residue[links[:, 0]] != atoms.residue[links[:, 1]])]
    lengths = np.linalg.norm(np.subtract(*atoms.positions[links].swapaxes(0, 1)), axis=-1)
    breaks = int((lengths > _BREAK).sum())
    residue = atoms.residue.astype(np.int64)
    joined = {(int(low), int(high)) for low, high in np.sort(residue[links], axis=-1)}
    pairs = rows[KDTree(atoms.positions[rows]).query_pairs(_INSIDE, output_type="ndarray")]
    within = np.sort(residue[pairs], axis=-1).tolist()
    inside = sum(low != high and (low, high) not in joined for low, high in within)
    subject, own = ("", "") if designed.all() else ("new chains ", " of their own")
    reached = [f"{breaks} breaks"] * bool(breaks) + [f"{inside} pairs of atoms too near"] * bool(inside)
    return [
        Verdict(
            name="backbone",
            asked=f"{subject}whole (no link over {_BREAK:g} Å), main-chain atoms {_INSIDE:g} Å apart or more",
            reached=" and ".join(reached) or f"whole, without clashes{own}",
            met=not reached,
        )
    ]


def handedness_verdicts(structure: Structure) -> list[Verdict]:
    """Whether every stereocentre has the hand that its component states; none where there is no such centre.

    Where a component has no sound conformer the verdict is not met: nothing tells how it looks.
    """
    found = stereocentres(structure)
    if not len(found.atoms) + len(found.unknown):
        return []
    wrong = [_atom_name(structure, row) for row in found.atoms[~found.right].tolist()]
    reached = f"{int(found.right.sum())} of {len(found.right)} centres{_named_wrong(wrong)}"
    if len(found.unknown):
        chains = structure.chains.name[structure.residues.chain[found.unknown]]
        reached += f"; no sound conformer to judge chain {', '.join(dict.fromkeys(chains.tolist()))} by"
    return [
        Verdict(
            name="handedness",
            asked="every stereocentre as its definition has it",
            reached=reached,
            met=not wrong and not len(found.unknown),
        )
    ]


def double_bond_verdicts(structure: Structure, layout: Layout | None = None) -> list[Verdict]:
    """Whether every double bond is E or Z as its component has it; none where there is no such bond.

    In a design (layout) what is held as its file has it is not judged: a chromophore may be the other isomer there.
    """
    found = structure_double_bonds(structure)
    judged = structure.atoms.resolved[found.atoms].all(1)
    if layout is not None:
        held = np.array([residue.group > 0 for residue in layout.residues])
        judged &= ~held[structure.atoms.residue[found.atoms]].all(1)
    atoms, cis = found.atoms[judged], found.cis[judged]
    if not len(atoms):
        return []
    right = has_form(structure.atoms.positions[atoms].astype(np.float64), cis)
    wrong = [f"{_atom_name(structure, b)}={structure.atoms.name[c]}" for _, b, c, _ in atoms[~right].tolist()]
    return [
        Verdict(
            name="double bonds",
            asked="every double bond E or Z as its definition has it",
            reached=f"{int(right.sum())} of {len(right)} bonds{_named_wrong(wrong)}",
            met=not wrong,
        )
    ]


def _named_wrong(wrong: list[str]) -> str:
    return f", wrong: {', '.join(wrong[:_MOST_NAMED])}{', ...' * (len(wrong) > _MOST_NAMED)}" if wrong else ""


def _atom_name(structure: Structure, row: int) -> str:
    """Chain, residue and atom as a user writes them: ``A/5/CB``."""
    residue = int(structure.atoms.residue[row])
    chain = structure.chains.name[structure.residues.chain[residue]]
    return f"{chain}/{structure.residues.author_seq_id[residue]}/{structure.atoms.name[row]}"


def _bond_verdict(
    name: str, structure: Structure, ends: tuple[int, int], length: float, tolerance: float = BOND_TOLERANCE
) -> Verdict:
    one, other = structure.atoms.positions[list(ends)]
    reached = float(np.linalg.norm(one - other))
    return Verdict(
        name=name,
        asked=f"bond of {length:.3g} ± {tolerance:g} Å",
        reached=f"{reached:.2f} Å",
        met=abs(reached - length) <= tolerance,
    )


def _polymer_target(layout: Layout, spec: DesignSpec) -> list[bool]:
    return [residue.chain_is_fixed and str(residue.origin) not in spec.ligands for residue in layout.residues]


def _target_verdict(spec: DesignSpec, layout: Layout, structure: Structure) -> Verdict:
    """Whether the binder lies against its target; a binder without hotspots is said to be one."""
    target = np.array(_polymer_target(layout, spec))
    new = np.array([residue.origin is None for residue in layout.residues])
    centre = np.isin(structure.atoms.name, ("CA", "C1'")) & structure.atoms.resolved
    points = [structure.atoms.positions[centre & rows[structure.atoms.residue]] for rows in (target, new)]
    pairs = int(KDTree(points[0]).count_neighbors(KDTree(points[1]), INTERFACE_DISTANCE))
    nearest = float(KDTree(points[0]).query(points[1])[0].min())
    wanted = min(INTERFACE_PAIRS, max(1, int(new.sum()) // 2))
    asked = f"at least {wanted} pairs of residues within {INTERFACE_DISTANCE:g} Å"
    if not spec.hotspots:
        asked += " (no hotspots given: where it binds is the network's choice)"
    reached = f"{pairs} pairs" if pairs else f"did not reach the target: {nearest:.0f} Å away"
    return Verdict(name="target touched", asked=asked, reached=reached, met=pairs >= wanted)


def crop_verdict(spec: DesignSpec, layout: Layout, structure: Structure, motif: Structure) -> Verdict:
    """What of the target was drawn, and whether new residues run into what was not (in the motif's frame).

    structure: the design, with side chains where it has them.
    """
    ours = {(each.chain, each.number, each.insertion_code) for each in layout.residues if each.origin is None}
    new = np.array([key in ours for key in residue_keys(structure)])[structure.atoms.residue] & structure.atoms.resolved
    distance, _ = KDTree(left_out_atoms(spec, motif)).query(structure.atoms.positions[new])
    backbone = np.isin(structure.atoms.name[new], ("N", "CA", "C", "O", "CB"))
    clashes = int((distance < np.where(backbone, _OVERLAP, _SIDE_OVERLAP)).sum())
    drawn = sum(_polymer_target(layout, spec)) - len(spec.left_out)
    nearest = f"{float(distance.min()):.1f} Å away"
    return Verdict(
        name=CROP,
        asked=f"no clash with the {len(spec.left_out)} residues of the target that were left out ({drawn} were drawn)",
        reached=f"{clashes} atoms too near, {nearest}" if clashes else nearest,
        met=clashes == 0,
    )


def _nearest(structure: Structure, first: np.ndarray, second: np.ndarray, group: SymmetryGroup | None) -> float:
    one, other = (rows[structure.atoms.resolved[rows]] for rows in (first, second))
    if not len(one) or not len(other):
        return float("inf")
    positions = structure.atoms.positions.astype(np.float64)
    images = positions[other] if group is None else group.apply(positions[other]).reshape(-1, 3)
    return float(KDTree(images).query(positions[one])[0].min())
