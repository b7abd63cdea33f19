"""Verdicts on what was to be followed: motifs, starts, templates, and folds of alignments or made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.tm_score import tm_score
from structdiff.features.chain_folds import ChainFold
from structdiff.features.templates import Templates
from structdiff.geometry.superposition import superposed_rmsd
from structdiff.output.prediction import Verdict
from structdiff.spec.fold import HALLUCINATED
from structdiff.structure.tables import Structure

#: How far (Å, RMSD) a finished motif may be from the given one.
MOTIF_TOLERANCE = 0.5
#: TM-score from which on two chains have one fold (Xu & Zhang 2010).
SAME_FOLD = 0.5
#: Å, RMSD: how far a chain may be from the fold of its alignment, or a template without a threshold.
_OFF_FOLD = 3.0
_FEW_RESIDUES, _NEAR_START = 30, 2.0  # Å
_BACKBONE = ("N", "CA", "C", "O", "P", "C1'")
#: The verdicts on how a motif is held, and on where it lies among the axes of a symmetric design.
MOTIF, MOTIF_PLACE = "motif", "motif's place"
#: How verdicts on a fold plan begin, which structdiff drew itself where the user asked for no fold.
PLAN = "fold plan"
_MADE_UP = f"{PLAN}: {HALLUCINATED}"


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
