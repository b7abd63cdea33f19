"""What was asked of a structure, what it has reached, and whether that is what was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from scipy.spatial import KDTree

from structdiff.constraints.energy_descent import Term
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.features.requests import Proximity, drawn_disulfides, is_binder
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.likeness import PLAN
from structdiff.output.prediction import Verdict
from structdiff.soundness import backbone_verdicts, bond_verdict, double_bond_verdicts, handedness_verdicts
from structdiff.spec.design import DesignSpec
from structdiff.spec.layout import Layout
from structdiff.structure.keys import residue_keys
from structdiff.structure.motif_residues import left_out_atoms
from structdiff.structure.tables import ChainKind, Structure

#: Share of the residues that must have the secondary structure they were asked to have.
FOLD_SHARE = 0.7
#: Å: a peptide bond and a disulfide bond.
PEPTIDE_BOND, DISULFIDE_BOND = 1.33, 2.03
#: A binder touches its target in so many pairs of residues (CA atoms within so many Å), a short one in half as many as
#: it has residues.
INTERFACE_PAIRS, INTERFACE_DISTANCE = 8, 8.0
CROP = "target crop"
#: Å: atoms of a design nearer to a part of the target that was not drawn clash with it; side chains may bond to it.
_OVERLAP, _SIDE_OVERLAP = 2.8, 2.4


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
    return dataclasses.replace(verdict, name=f"{PLAN}: {verdict.name}", requested=False)


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
    protein = np.flatnonzero(structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN)
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
        found.append(bond_verdict(f"cyclic {chain}", structure, ends, PEPTIDE_BOND))
    for ends in drawn_disulfides(layout, structure):
        label = "-".join(str(layout.residues[int(structure.atoms.residue[end])].id) for end in ends)
        found.append(bond_verdict(f"disulfide {label}", structure, ends, DISULFIDE_BOND))
    return found


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
