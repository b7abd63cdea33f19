"""The shape of a chain in a few numbers: radius of gyration, contact order, contacts."""

from __future__ import annotations

import functools
import json
from importlib import resources

import numpy as np

from structdiff.evaluation.backbone import CA, Backbone

CONTACT_DISTANCE = 8.0  # Å between CB atoms
MINIMAL_SEPARATION = 3  # residues along the chain
SIZE_FILE = "radius_of_gyration.json"


def radius_of_gyration(backbone: Backbone) -> float:
    """Root mean square distance (Å) of the CA atoms from their centre."""
    ca = backbone.positions[:, CA]
    ca = ca[np.isfinite(ca).all(-1)]
    return float(np.sqrt(np.mean(np.sum((ca - ca.mean(0)) ** 2, -1)))) if len(ca) else float("nan")


def expected_radius_of_gyration(num_residues: int) -> float:
    """Radius of gyration (Å) of a typical single natural chain of that length: a * length^b, a fit.

    >>> 12.0 < expected_radius_of_gyration(100) < 15.0
    True
    """
    law = _size_law()
    return float(law["a"] * num_residues ** law["b"])


def radius_of_gyration_score(backbone: Backbone) -> float:
    """How large a chain is for its length, in standard deviations of log(Rg) among natural chains; 0 is typical.

    Of several chains the mean of what each is by itself. NaN where none has a size: fewer than two residues, or all in
    one place.
    """
    scores = [_size_score(backbone.select(backbone.chain == chain)) for chain in np.unique(backbone.chain)]
    known = [score for score in scores if np.isfinite(score)]
    return float(np.mean(known)) if known else float("nan")


def _size_score(chain: Backbone) -> float:
    count = int(np.isfinite(chain.positions[:, CA]).all(-1).sum())
    radius = radius_of_gyration(chain)
    if count < 2 or radius == 0:
        return float("nan")
    return float(np.log(radius / expected_radius_of_gyration(count)) / _size_law()["sd_log"])


def contact_order(backbone: Backbone) -> float:
    """Mean separation in sequence of residues in contact, over the chain length (relative contact order).

    Contacts within a chain: CB atoms (where there is none, the place it would have) within 8 Å, three residues or more
    apart. After Plaxco, Simons & Baker, J. Mol. Biol. 277, 985 (1998). NaN for a chain without contacts.
    """
    i, j = contacts(backbone)
    within = backbone.chain[i] == backbone.chain[j]
    if not within.any():
        return float("nan")
    lengths = {chain: int(np.sum(backbone.chain == chain)) for chain in np.unique(backbone.chain)}
    separation = np.abs(backbone.residue_index[i] - backbone.residue_index[j])[within]
    return float(np.mean(separation / np.array([lengths[chain] for chain in backbone.chain[i][within]])))


def contacts_per_residue(backbone: Backbone) -> float:
    """Contacts (as for the contact order, between chains too) a residue: how well packed a chain is."""
    count = int(backbone.complete.sum())
    return 2 * len(contacts(backbone)[0]) / count if count else float("nan")


def contacts(backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """Pairs i < j of residues in contact."""
    cb = backbone.cb_or_ideal
    with np.errstate(invalid="ignore"):
        near = np.linalg.norm(cb[:, None] - cb[None], axis=-1) < CONTACT_DISTANCE
    i, j = np.nonzero(np.triu(near, 1))
    apart = np.abs(backbone.residue_index[i] - backbone.residue_index[j]) >= MINIMAL_SEPARATION
    keep = apart | (backbone.chain[i] != backbone.chain[j])
    return i[keep], j[keep]


@functools.cache
def _size_law() -> dict[str, float]:
    text = resources.files("structdiff.evaluation").joinpath("data").joinpath(SIZE_FILE).read_text()
    return json.loads(text)
