import numpy as np

from structdiff.evaluation.backbone import Backbone
from structdiff.evaluation.secondary_structure import secondary_structure

# mkdssp 4.2.2 on the same files, reduced: H = H, G, I; E = E, B; L = the rest
MKDSSP = {
    "ubiquitin": "LEEEEEELLLLEEEEELLLLLEHHHHHHHHHHHHLLLHHHEEEEELLEELLLLLEHHHHLLLLLLEEEEEELLLLL",
    "protein_g": "LLLLLEEEEEEEELLLLEEEEEEEELLHHHHHHHHHHHHHHLLLLLEEEEELLLLEEEEEL",
    "crambin": "LEELLLHHHHHHHHHHHLLLLLHHHHHHHHLLEELLLLLLLHHHLL",
    "coiled_coil": "LHHHHHHHHHHHHHHHHHHHHHHHHHHHHHLLHHHHHHHHHHHHHHHHHHHHHHHHHHHHHL",
}


def test_agrees_with_mkdssp(request):
    for entry, expected in MKDSSP.items():
        states = secondary_structure(Backbone.from_structure(request.getfixturevalue(entry)))
        assert "".join(states) == expected, entry


def test_no_bonds_through_a_cut(ubiquitin_backbone):
    """A helix pulled apart in the middle keeps helical ends only where turns remain whole."""
    p = ubiquitin_backbone.positions.copy()
    p[28:] += 30.0
    cut = secondary_structure(Backbone.from_arrays(p, restype=ubiquitin_backbone.restype))
    whole = secondary_structure(ubiquitin_backbone)
    assert (whole[23:33] == "H").all()
    assert cut[27] == cut[28] == "L"


def test_random_chain_is_loop(generator):
    steps = generator.normal(size=(60, 1, 3)) * 6
    chain = np.cumsum(steps, 0) + generator.normal(size=(60, 4, 3))
    assert (secondary_structure(Backbone.from_arrays(chain)) == "L").mean() > 0.9
