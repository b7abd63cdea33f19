"""Natural chains as a measure: their descriptors and places in the space of folds, bundled or made of a given set."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources

import numpy as np

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.errors import InputError
from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.descriptors import (
    contact_order,
    contacts_per_residue,
    radius_of_gyration,
    radius_of_gyration_score,
)
from structdiff.evaluation.distribution import like_length
from structdiff.evaluation.fold_embedding import FoldSpace, fold_features, fold_space
from structdiff.evaluation.secondary_structure import secondary_structure

DATA_FILE = "natural_chains.npz"
#: Descriptors of a chain: names of metrics.
DESCRIPTORS = ("helix", "strand", "rg", "rg_score", "contact_order", "contacts_per_residue")
#: Those that span the space of descriptors: rg is in rg_score already.
_AXES = tuple(DESCRIPTORS.index(name) for name in DESCRIPTORS if name != "rg")
LENGTHS = (40, 300)
_COMPACT = 3.0  # natural standard deviations: more extended chains stand only with others
_LIKE_WORDS = 0.4  # share of three-letter words in common that makes two chains kin
_WORD = 3


@dataclass(frozen=True, kw_only=True)
class NaturalChains:
    """Natural chains: name, length (chain), descriptors (chain, descriptor), features of folds (chain, dimension).

    provenance: what they are and how they were made.
    """

    names: tuple[str, ...]
    lengths: np.ndarray
    descriptors: np.ndarray
    folds: np.ndarray
    provenance: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def quartiles(self, name: str, length: float) -> tuple[float, float, int]:
        """First and third quartile of a descriptor among chains of about that length, and how many these are."""
        values = self.descriptors[like_length(self.lengths, length), DESCRIPTORS.index(name)]
        values = values[np.isfinite(values)]
        if len(values) < 8:
            return float("nan"), float("nan"), len(values)
        low, high = np.quantile(values, (0.25, 0.75))
        return float(low), float(high), len(values)

    def descriptor_points(self, descriptors: np.ndarray) -> np.ndarray:
        """Points (chain, axis) of descriptors, in standard deviations about the mean of these natural chains."""
        own = np.nan_to_num(self.descriptors[:, _AXES])
        return (np.nan_to_num(descriptors[:, _AXES]) - own.mean(0)) / own.std(0)


def describe(backbone: Backbone) -> np.ndarray:
    """The descriptors of a chain, in the order of DESCRIPTORS."""
    state = secondary_structure(backbone)
    values = {
        "helix": float(np.mean(state == "H")),
        "strand": float(np.mean(state == "E")),
        "rg": radius_of_gyration(backbone),
        "rg_score": radius_of_gyration_score(backbone),
        "contact_order": contact_order(backbone),
        "contacts_per_residue": contacts_per_residue(backbone),
    }
    return np.array([values[name] for name in DESCRIPTORS])


def natural_chains(
    named: Iterable[tuple[str, Backbone]],
    *,
    provenance: Mapping[str, object] | None = None,
    at_least: int = 20,
    on_done: Callable[[], None] | None = None,
) -> tuple[NaturalChains, np.ndarray]:
    """Natural chains of given ones, and the fold features (chain, feature) of those that were taken.

    Taken are chains of 40 to 300 residues without gaps and no more extended than single chains are (three standard
    deviations), one of each kin (of which another has 40 % of the three-letter words of the sequence). Raises
    InputError where fewer than at_least are left.
    """
    names: list[str] = []
    lengths, descriptors, features = [], [], []
    words: list[set[str]] = []
    for name, backbone in named:
        if on_done is not None:
            on_done()
        if not _is_whole_and_compact(backbone) or _has_kin(own := _words(backbone), words):
            continue
        names.append(name)
        words.append(own)
        lengths.append(len(backbone))
        descriptors.append(describe(backbone))
        features.append(fold_features(backbone))
    if len(names) < at_least:
        raise InputError(
            "too few natural chains of 40 to 300 residues to compare with",
            found=len(names),
            allowed=f"{at_least} or more",
        )
    table = np.array(features)
    chains = NaturalChains(
        names=tuple(names),
        lengths=np.array(lengths),
        descriptors=np.array(descriptors),
        folds=fold_space().place(table) if _space_is_there() else np.zeros((len(names), 0)),
        provenance=dict(provenance or {}) | {"chains": len(names)},
    )
    return chains, table


@functools.cache
def bundled_chains() -> NaturalChains:
    """The natural chains that come with the package: of the training split, descriptors and places only."""
    with resources.files("structdiff.evaluation").joinpath("data").joinpath(DATA_FILE).open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        return NaturalChains(
            names=tuple(str(data["names"]).split(" ")),
            lengths=data["lengths"].astype(np.int64),
            descriptors=data["descriptors"].astype(np.float64),
            folds=data["folds"].astype(np.float64),
            provenance=json.loads(str(data["provenance"])),
        )


def packed(chains: NaturalChains) -> dict[str, np.ndarray]:
    """The arrays of the data file."""
    return {
        "names": np.array(" ".join(chains.names)),
        "lengths": chains.lengths.astype(np.uint16),
        "descriptors": chains.descriptors.astype(np.float16),
        "folds": chains.folds.astype(np.float16),
        "provenance": np.array(json.dumps(chains.provenance, sort_keys=True)),
    }


def packed_space(space: FoldSpace) -> dict[str, np.ndarray]:
    """The arrays of the data file of the space of folds."""
    return {name: getattr(space, name).astype(np.float32) for name in ("mean", "scale", "components")}


def _space_is_there() -> bool:
    from structdiff.evaluation.fold_embedding import DATA_FILE as SPACE_FILE

    return resources.files("structdiff.evaluation").joinpath("data").joinpath(SPACE_FILE).is_file()


def _is_whole_and_compact(backbone: Backbone) -> bool:
    if not LENGTHS[0] <= len(backbone) <= LENGTHS[1] or not backbone.complete.all():
        return False
    return bool(backbone.follows[1:].all()) and radius_of_gyration_score(backbone) <= _COMPACT


def _words(backbone: Backbone) -> set[str]:
    letters = "".join(PROTEIN_THREE_TO_ONE.get(str(name), "X") for name in backbone.restype)
    return {letters[start : start + _WORD] for start in range(len(letters) - _WORD + 1)}


def _has_kin(own: set[str], others: list[set[str]]) -> bool:
    return any(len(own & other) > _LIKE_WORDS * min(len(own), len(other)) for other in others)
