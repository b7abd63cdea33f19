from pathlib import Path

import numpy as np
import pytest

from structdiff.features.motif_anchors import motif_anchors
from structdiff.features.problem import completed
from structdiff.spec.compose import asked_spec
from structdiff.structure.files import read_structure
from structdiff.structure.motif_residues import motif_residues

MOTIF = Path(__file__).resolve().parents[2] / "examples" / "5tpn_site_v.pdb"
CONTIGS = "30/A163-181/30"


def anchors(**asked):
    motif = read_structure(MOTIF)
    spec = completed(asked_spec(None, {"motif": str(MOTIF), "contigs": CONTIGS, **asked}), motif)
    layout = spec.sample_layout(np.random.default_rng(0))
    return motif, motif_anchors(spec, layout, motif)


def test_a_motif_is_where_the_contigs_have_it_with_its_own_helices_and_strands():
    motif, found = anchors()
    (anchor,) = found.values()
    assert anchor.places.tolist() == list(range(30, 49))
    assert anchor.letters == "HHHHHHHHLLLLLLEEEEL"
    rows = {residue.number: row for residue, row in motif_residues(motif).items()}
    atoms = motif.residue_atoms(rows[163])
    alpha = motif.atoms.positions[atoms][motif.atoms.name[atoms] == "CA"][0]
    assert np.allclose(anchor.alphas[0], alpha, atol=1e-3)
    assert len(anchor.obstacles) == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"symmetry": "C3"},
        {"tip": "A170"},
        {"held_atoms": "A170=N/CA"},
        {"contigs": "5/A163-181/5"},
        {"contigs": "30/A163-168/10/A175-181/30", "energies": ["radius_of_gyration target=11"]},
        {"contigs": "A163-181/30", "cyclic": "A"},
    ],
)
def test_where_more_is_asked_or_too_little_is_new_no_fold_is_planned_around_it(asked):
    assert anchors(**asked)[1] == {}
