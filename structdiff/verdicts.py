"""What was asked of a structure, what it has reached, and whether that is what was asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import KDTree

from structdiff.constraints.energy_descent import Term
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.tm_score import tm_score
from structdiff.features.chain_folds import ChainFold
from structdiff.features.requests import Proximity, drawn_disulfides, is_binder
from structdiff.features.templates import Templates
from structdiff.geometry.point_groups import SymmetryGroup
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.output.prediction import Verdict
from structdiff.soundness import backbone_verdicts, bond_verdict, double_bond_verdicts, handedness_verdicts
from structdiff.spec.design import DesignSpec
from structdiff.spec.fold import HALLUCINATED
from structdiff.spec.layout import Layout
from structdiff.structure.keys import residue_keys
from structdiff.structure.scaffold import left_out_atoms
from structdiff.structure.tables import Structure

#: How far (Å, RMSD) a finished motif may be from the given one.
MOTIF_TOLERANCE = 0.5
#: TM-score from which on two chains have one fold (Xu & Zhang 2010).
SAME_FOLD = 0.5
#: Å, RMSD: how far a chain may be from the fold of its alignment, or a template without a threshold.
_OFF_FOLD = 3.0
#: Share of the residues that must have the secondary structure they were asked to have.
FOLD_SHARE = 0.7
#: Å: a peptide bond and a disulfide bond.
PEPTIDE_BOND, DISULFIDE_BOND = 1.33, 2.03
#: A binder touches its target in so many pairs of residues (CA atoms within so many Å), a short one in half as many as
#: it has residues.
INTERFACE_PAIRS, INTERFACE_DISTANCE = 8, 8.0
_FEW_RESIDUES, _NEAR_START = 30, 2.0  # Å
CROP = "target crop"
#: Å: atoms of a design nearer to a part of the target that was not drawn clash with it; side chains may bond to it.
_OVERLAP, _SIDE_OVERLAP = 2.8, 2.4
_BACKBONE = ("N", "CA", "C", "O", "P", "C1'")
#: The verdicts on how a motif is held, and on where it lies among the axes of a symmetric design.
MOTIF, MOTIF_PLACE = "motif", "motif's place"
#: How verdicts on a fold plan begin, which structdiff drew itself where the user asked for no fold.
_PLAN = "fold plan"
_MADE_UP = f"{_PLAN}: {HALLUCINATED}"


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
    names = _template_names(templates)
    for group, template in enumerate(templates.asked, start=1):
        own = main & (templates.group == group) & ~templates.of_fold
        residues = np.unique(structure.atoms.residue[own])
        if not len(residues) and template.threshold is None:
            continue  # a warning has said why
        now, given = (torch.from_numpy(x.astype(np.float64)) for x in (structure.atoms.positions, templates.positions))
        off = float(superposed_rmsd(now, given, mask=torch.from_numpy(own))) if len(residues) else float("inf")
        alike = 100 * templates.alike[residues].mean() if len(residues) else 0.0
        asked = f"followed: {len(residues)} residues, {alike:.0f} % with its letters"
        if template.threshold is not None:
            asked = f"backbone within {template.threshold:g} Å RMSD"
        found.append(
            Verdict(
                name=names[group - 1],
                asked=asked,
                reached=f"{off:.2f} Å RMSD" if len(residues) else "not made use of",
                met=off <= (_OFF_FOLD if template.threshold is None else template.threshold),
            )
        )
    return found


def _template_names(templates: Templates) -> list[str]:
    """What the verdict of each template is called: by its file, and as far as needed its chains, and its number."""
    found = [f"template {Path(each.path).name}" for each in templates.asked]
    of_chains = [f"{name} of {', '.join(each.chains)}" for name, each in zip(found, templates.asked, strict=True)]
    found = [longer if found.count(name) > 1 else name for name, longer in zip(found, of_chains, strict=True)]
    return [f"{name} ({found[:place].count(name) + 1})" if found.count(name) > 1 else name
            for place, name in enumerate(found)]  # fmt: skip


def fold_verdicts(folds: Sequence[ChainFold], structure: Structure) -> list[Verdict]:
    """RMSD of the main chain of each chain with an alignment to its fold, where residues are sure enough."""
    found = []
    for own in folds:
        rows, share = own.alignment.rows, 100 * own.alignment.coverage
        asked = f"followed: {rows} sequences that cover {share:.0f} %" if rows > 1 else "followed: its sequence alone"
        for name in own.chains:
            off = _off_fold(own, structure, name)
            beside = " beside its template" if own.kept.any() else ""
            reached = f"backbone within {off:.2f} Å RMSD of the fold of {own.told.sum()} residues{beside}"
            if own.kept.all():
                reached = f"nothing{beside}, which has all residues"
            elif not own.told.any():
                reached = f"nothing: it tells of no residue{beside} where it lies"
            met = off <= _OFF_FOLD or bool(own.kept.all())
            found.append(Verdict(name=f"alignment of {name}", asked=asked, reached=reached, met=met))
    return found


def made_up_fold_verdicts(folds: Sequence[ChainFold], structure: Structure) -> list[Verdict]:
    """RMSD of the main chain of each new chain to the fold that was made up for it."""
    found = []
    for own in folds:
        off = _off_fold(own, structure, own.chains[0])
        found.append(Verdict(name=f"{_MADE_UP} {own.chains[0]}", asked="followed",
                             reached=f"backbone within {off:.2f} Å RMSD of it", met=off <= _OFF_FOLD,
                             requested=False))  # fmt: skip
    return found


def is_of_made_up_fold(name: str) -> bool:
    """Whether a verdict of that name is on a fold that was made up."""
    return name.startswith(f"{_MADE_UP} ")


def _off_fold(own: ChainFold, structure: Structure, name: str) -> float:
    """RMSD (Å) of N, CA and C of the residues that were told; infinite without any."""
    if not own.told.any():
        return float("inf")
    row = int(np.flatnonzero(structure.chains.name == name)[0])
    backbone = Backbone.from_structure(structure.select(structure.atom_chain == row)).positions
    now, given = (torch.from_numpy(each[own.told, :3].reshape(-1, 3)) for each in (backbone, own.positions))
    there = torch.isfinite(now).all(-1)  # caps have no backbone
    return float(superposed_rmsd(now[there], given[there]))


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
