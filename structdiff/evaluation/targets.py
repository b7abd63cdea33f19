"""Figures that designs should reach, each with an interval and beside what nature has.

They are stated for each length by itself where a set has several. What a structure that designs are made around or
from settles, their fold, is asked of designs from nothing alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from structdiff.evaluation.natural import NaturalChains
from structdiff.evaluation.summary import Summary, exactly, summarise

_OWN_GROUP = 10  # structures of one length, at least, to be a group
_LIKELY, _PRECISE = -3.0, 0.5  # trRosetta's log likelihood a pair, and precision of its contacts
_WITHIN = {"helix": "helix content", "strand": "strand content", "rg": "radius of gyration"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """One line: of which structures, what, its value, the bound that is wanted (None: only stated), and if it is met.

    scale and unit: how the value is shown. better: "higher" or "lower" than the bound is good.
    """

    group: str
    text: str
    value: Summary
    bound: float | None
    better: str
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the mean reaches the bound; None where there is no value."""
        if math.isnan(self.value.mean) or self.bound is None:
            return None
        return self.value.mean >= self.bound if self.better == "higher" else self.value.mean <= self.bound

    @property
    def wanted(self) -> str:
        """The bound in words."""
        if self.bound is None:
            return "stated"
        number = f"{self.bound * (100 if self.unit == '%' else 1):g}{' %' if self.unit == '%' else ''}"
        return f"{'at least' if self.better == 'higher' else 'at most'} {number}"

    @property
    def reached(self) -> str:
        """The value and its interval in words."""
        scale = 100 if self.unit == "%" else 1
        if math.isnan(self.value.mean):
            return "-"
        middle = f"{self.value.mean * scale:.3g}"
        low, high = (f"{end * scale:.3g}" for end in (self.value.low, self.value.high))
        end = " %" if self.unit == "%" else ""
        return f"{middle}{end}" if math.isnan(self.value.low) else f"{middle}{end} [{low}, {high}]"


def length_groups(lengths: Sequence[int]) -> dict[str, np.ndarray]:
    """Rows of structures of each length that ten or more share; all together where no length does."""
    table = np.asarray(lengths)
    values, counts = np.unique(table, return_counts=True)
    groups = {f"{n} residues": np.flatnonzero(table == n) for n in values[counts >= _OWN_GROUP].tolist()}
    return groups or {"all": np.arange(len(lengths))}


def targets_of(
    group: str,
    rows: Sequence[Mapping[str, float]],
    natural: NaturalChains,
    of_set: Mapping[str, Summary],
    *,
    from_nothing: bool = True,
    seed: int = 0,
) -> list[Target]:
    """The lines of one group of structures, given their values and those of the group as a set.

    from_nothing: no known structure settles any of their fold. Of designs with a motif torsions and clashes are those
    of new residues, where these are known.
    """
    targets: list[Target] = []

    def line(text: str, value: Summary, bound: float | None, better: str, unit: str = "") -> None:
        targets.append(Target(group=group, text=text, value=value, bound=bound, better=better, unit=unit))

    def mean(name: str) -> Summary:
        return summarise((row.get(name, float("nan")) for row in rows), seed=seed)

    line("bond lengths over 4 sigma", mean("bond_over_4_sigma"), 0.01, "lower", "%")
    line("bond angles over 4 sigma", mean("angle_over_4_sigma"), 0.01, "lower", "%")
    favoured, clashing = "rama_favoured", "backbone_clashes_per_100"
    new = " new" if not from_nothing and any("new_rama_favoured" in row for row in rows) else ""
    if new:
        favoured, clashing = "new_rama_favoured", "new_clashes_per_100"
    line(f"Ramachandran favoured{', new residues' if new else ''}", mean(favoured), 0.95, "higher", "%")
    line("chain breaks, in all", exactly(_total(rows, "chain_breaks")), 0, "lower")
    d_residues = sum((1 - row["share_l"]) * row["residues"] for row in rows if "share_l" in row)
    line("D residues, in all", exactly(round(d_residues)), 0, "lower")
    line("clashes per 100 residues, all atoms", mean("clashes_per_100"), 1, "lower")
    line(f"clashes per 100{new} residues, backbone", mean(clashing), 1, "lower")
    if from_nothing:
        for name, words in _WITHIN.items():
            line(f"{words} within natural quartiles", _share_within(name, rows, natural, seed), 0.7, "higher", "%")
        line("with a beta sheet", mean("sheet"), 0.2, "higher", "%")
        for name, words in (("frechet_ratio_shape", "fold shape"), ("frechet_ratio_descriptors", "descriptors")):
            if name in of_set:
                line(f"Fréchet distance over natural halves', {words}", of_set[name], 3, "lower")
        if "clusters_per_structure" in of_set:
            line("clusters at TM 0.6 a structure", of_set["clusters_per_structure"], 0.5, "higher", "%")
    if any("nearest_tm" in row for row in rows):
        line("TM to the nearest natural chain", mean("nearest_tm"), None, "lower")
    likely = [float(row["own_sequence_nll_excess"] <= 0) for row in rows if "own_sequence_nll_excess" in row]
    if likely:
        line("own sequence as likely as the natural median", summarise(likely, seed=seed), 0.5, "higher", "%")
    expected = [float(_is_expected(row)) for row in rows if "judge_log_likelihood" in row]
    if expected:
        line("expected by trRosetta (-3.0, half of the contacts)", summarise(expected, seed=seed), 0.5, "higher", "%")
    return targets


def _is_expected(row: Mapping[str, float]) -> bool:
    """Whether trRosetta expects a structure of its sequence as it does those of small proteins that fold."""
    return row["judge_log_likelihood"] >= _LIKELY and row.get("judge_contact_precision", 0.0) >= _PRECISE


def _share_within(name: str, rows: Sequence[Mapping[str, float]], natural: NaturalChains, seed: int) -> Summary:
    """Share of structures whose descriptor lies between the quartiles of natural chains of their length."""
    inside = []
    for row in rows:
        low, high, _ = natural.quartiles(name, row["residues"])
        inside.append(float(low <= row[name] <= high) if math.isfinite(low) and name in row else float("nan"))
    return summarise(inside, seed=seed)


def _total(rows: Sequence[Mapping[str, float]], name: str) -> float:
    return float(sum(row.get(name, 0.0) for row in rows))
