"""Is this a protein that could exist? Every check of geometry on one structure, and the table over a set of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.catalogue import CATALOGUE
from structdiff.evaluation.chirality import hands
from structdiff.evaluation.clashes import backbone_clashes, clashes
from structdiff.evaluation.component_geometry import component_geometry
from structdiff.evaluation.covalent import (
    angle_deviation,
    bond_deviation,
    ca_neighbour_share,
    chain_breaks,
    peptide_planes,
)
from structdiff.evaluation.descriptors import (
    contact_order,
    contacts_per_residue,
    radius_of_gyration,
    radius_of_gyration_score,
)
from structdiff.evaluation.knots import knotted_share
from structdiff.evaluation.ramachandran import ramachandran
from structdiff.evaluation.secondary_structure import secondary_structure
from structdiff.evaluation.stereocentres import stereocentres
from structdiff.evaluation.summary import Summary, summarise
from structdiff.structure.tables import Structure

SHEET_RESIDUES = 6  # in strands, at least: two strands of three


@dataclass(frozen=True, kw_only=True)
class Validity:
    """The checks of one structure; shares are in [0, 1], NaN where nothing could be judged.

    bond_rms (Å), angle_rms and omega_rms (degrees); over_4_sigma: share of bonds or angles further than four Engh &
    Huber sigma off; component_: see ComponentGeometry; stereocentres_right: see Stereocentres; ca_neighbours: share of
    CA-CA at 3.8 ± 0.1 Å; gaps: missing residues, which are no fault; share_l: of residues with CB;
    mirror_log_odds: see Ramachandran; rg in Å, rg_score in natural standard deviations; sheet: 1 where at least
    six residues are in strands, else 0.
    """

    name: str
    residues: int
    chains: int
    gaps: int
    bond_rms: float
    bond_over_4_sigma: float
    angle_rms: float
    angle_over_4_sigma: float
    component_bonds_over_4_sigma: float
    component_angles_over_4_sigma: float
    stereocentres_right: float
    omega_rms: float
    twisted_peptides: float
    cis_other: float
    ca_neighbours: float
    chain_breaks: int
    clashes_per_100: float
    backbone_clashes_per_100: float
    share_l: float
    helices_right_handed: float
    rama_favoured: float
    rama_allowed: float
    rama_outlier: float
    mirror_log_odds: float
    helix: float
    strand: float
    loop: float
    rg: float
    rg_score: float
    contact_order: float
    contacts_per_residue: float
    sheet: float
    knotted: float


#: What a table shows, and how: label, unit (a share is shown in %); in words in the catalogue.
LABELS: Mapping[str, tuple[str, str]] = {
    field.name: (CATALOGUE[field.name].label, CATALOGUE[field.name].unit)
    for field in dataclasses.fields(Validity)
    if field.name in CATALOGUE
}


def backbone_validity(backbone: Backbone, *, name: str = "") -> Validity:
    """All checks that a backbone allows; those of side chains are NaN.

    Raises InputError where there is no residue with N, CA and C.
    """
    if not backbone.complete.any():
        raise InputError("no protein residue with N, CA and C", path=name or None)
    bonds, angles, planes = bond_deviation(backbone), angle_deviation(backbone), peptide_planes(backbone)
    rama, hand = ramachandran(backbone), hands(backbone)
    state = secondary_structure(backbone)[backbone.complete]
    chains = len(np.unique(backbone.chain))
    return Validity(
        name=name,
        residues=int(backbone.complete.sum()),
        chains=chains,
        gaps=_gaps(backbone),
        bond_rms=bonds.rms,
        bond_over_4_sigma=bonds.share_over_4_sigma,
        angle_rms=float(np.degrees(angles.rms)),
        angle_over_4_sigma=angles.share_over_4_sigma,
        component_bonds_over_4_sigma=float("nan"),
        component_angles_over_4_sigma=float("nan"),
        stereocentres_right=float("nan"),
        omega_rms=float(np.degrees(planes.omega_rms)),
        twisted_peptides=planes.share_twisted,
        cis_other=planes.share_cis_other,
        ca_neighbours=ca_neighbour_share(backbone),
        chain_breaks=chain_breaks(backbone),
        clashes_per_100=float("nan"),
        backbone_clashes_per_100=backbone_clashes(backbone).per_100_residues,
        share_l=hand.share_l,
        helices_right_handed=hand.share_right_handed,
        rama_favoured=rama.favoured,
        rama_allowed=rama.allowed,
        rama_outlier=rama.outlier,
        mirror_log_odds=rama.mirror_log_odds,
        helix=float(np.mean(state == "H")),
        strand=float(np.mean(state == "E")),
        loop=float(np.mean(state == "L")),
        rg=radius_of_gyration(backbone),
        rg_score=radius_of_gyration_score(backbone),
        contact_order=contact_order(backbone),
        contacts_per_residue=contacts_per_residue(backbone),
        sheet=float(np.sum(state == "E") >= SHEET_RESIDUES),
        knotted=knotted_share(backbone),
    )


def validity(structure: Structure) -> Validity:
    """All checks of the proteins of a structure; clashes, components and stereocentres are those of ligands too.

    Raises InputError where there is no protein residue with N, CA and C.
    """
    checks = backbone_validity(Backbone.from_structure(structure), name=structure.name)
    inside = component_geometry(structure)
    return dataclasses.replace(
        checks,
        clashes_per_100=clashes(structure).per_100_residues,
        component_bonds_over_4_sigma=inside.bonds_over_4_sigma,
        component_angles_over_4_sigma=inside.angles_over_4_sigma,
        stereocentres_right=stereocentres(structure).share_right,
    )


def summarise_validity(checks: Iterable[Validity], *, seed: int = 0) -> dict[str, Summary]:
    """Mean over structures, with a bootstrap 95 % interval, of every check in LABELS."""
    checks = list(checks)
    return {key: summarise((getattr(check, key) for check in checks), seed=seed) for key in LABELS}


def format_table(columns: Mapping[str, Mapping[str, Summary]], *, show: Literal["mean", "quartiles"] = "mean") -> str:
    """A plain-text table: one row a check, one column a set of structures.

    Cells hold the mean and its 95 % interval, or the median and the quartiles about it.
    """
    label_width = max(len(label) for label, _ in LABELS.values()) + 5
    widths = [max(28, len(title) + 2) for title in columns]
    lines = ["".ljust(label_width) + "".join(f"{title:>{width}}" for title, width in zip(columns, widths, strict=True))]
    for key, (label, unit) in LABELS.items():
        cells = [_cell(column.get(key), 100 if unit == "%" else 1, show) for column in columns.values()]
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{label}{', ' + unit if unit else ''}".ljust(label_width) + row)
    return "\n".join(lines)


def _cell(value: Summary | None, scale: float, show: str) -> str:
    if value is None or value.count == 0:
        return "-"
    first, second, third = value.quartiles
    numbers = (value.mean, value.low, value.high) if show == "mean" else (second, first, third)
    middle, low, high = (f"{number * scale:.{_decimals(numbers[0] * scale)}f}" for number in numbers)
    return f"{middle} [{low}, {high}]" if show == "mean" else f"{middle} ({low} to {high})"


def _decimals(value: float) -> int:
    return 1 if abs(value) >= 50 else 2 if abs(value) >= 1 else 3


def _gaps(backbone: Backbone) -> int:
    """Places where a chain goes on but its next residue is not the neighbour in sequence, or is unresolved."""
    complete = np.flatnonzero(backbone.complete)
    same_chain = backbone.chain[complete[1:]] == backbone.chain[complete[:-1]]
    adjacent = (np.diff(complete) == 1) & backbone.follows[complete[1:]]
    return int(np.sum(same_chain & ~adjacent))
