"""Folds, energies, unindexed stretches and composed problems as data."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structdiff.errors import InputError
from structdiff.spec.compose import Fold, Hotspots, KeepAway, Motif, Problem, Ring
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.design import DesignSpec, design_from_dict, design_to_dict, read_design, write_design
from structdiff.spec.design_grammar import parse_disulfides
from structdiff.spec.design_keys import KEYS
from structdiff.spec.energies import Contacts, Function, RadiusOfGyration, parse_atom
from structdiff.spec.energy_text import energy_from_dict, energy_to_dict, parse_energy
from structdiff.spec.fold import blocks_of, strand_pairs
from structdiff.spec.segments import ResidueId
from structdiff.spec.symmetry import Symmetry
from structdiff.spec.unindexed import place_unindexed

MOTIF = [ResidueId(chain="A", number=number) for number in range(1, 101)]
EVERYTHING = {
    "motif": "m.pdb", "contigs": "40-50/A5-9/10", "unindexed": "A20/A30-33", "ligands": ["HEM", "A301"],
    "backbone_only": ["A5"], "tip": ["A6", "A20"], "held_atoms": ["A30=CB/OG"],
    "redesign": ["A7"], "hotspots": ["A8"], "keep_away": ["A9"],
    "secondary_structure": "L2H14L4E6L3E6L24?1", "burial": "B60", "adjacent": "1-2", "apart": ["1-3"], "cyclic": "A",
    "disulfides": ["A2-A-2"],
    "energies": [{"radius_of_gyration": {"target": 12}}, {"distance": {"between": ["A1", "A-1"], "at_most": 9}}],
}  # fmt: skip


def test_everything_at_once_is_written_and_read_back(tmp_path):
    (tmp_path / "m.pdb").write_text("a structure")
    spec = design_from_dict(EVERYTHING)
    assert design_from_dict(design_to_dict(spec)) == spec
    spec = DesignSpec(**{**{name: getattr(spec, name) for name in spec.__dataclass_fields__},
                         "motif": str(tmp_path / "m.pdb")})  # fmt: skip
    write_design(spec, tmp_path / "all.yaml")
    assert read_design(tmp_path / "all.yaml") == spec


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tip": ["A50"]}, ["tip", "A50", "not part of the contigs"]),
        ({"backbone_only": ["A6"]}, ["backbone_only", "A6"]),
        ({"redesign": ["A6"]}, ["redesign", "A6", "tip"]),
        ({"redesign": ["A30"]}, ["redesign", "A30", "held atoms"]),
        ({"held_atoms": ["A6=CA"]}, ["held_atoms", "A6", "tip"]),
        ({"held_atoms": {"A50": ["CA", "CB"]}}, ["held_atoms", "A50", "not part of the contigs"]),
        ({"held_atoms": ["A30"]}, ["held_atoms", "names no atoms"]),
        ({"fixed_sequence": False}, ["tip", "residue types"]),
        ({"adjacent": "1-9"}, ["adjacent", "1-9", "1 to 3"]),
        ({"adjacent": "1-3"}, ["apart", "1-3", "touch"]),
        ({"adjacent": "one"}, ["adjacent", "'one'"]),
        ({"fold_of": "x.pdb"}, ["fold_of", "taken from a structure already"]),
        ({"disulfides": ["B2-A5"]}, ["disulfides", "'B'"]),
        ({"disulfides": ["A2-A2"]}, ["disulfides", "two residues"]),
        ({"disulfides": ["A2"]}, ["disulfides", "'A2'"]),
        ({"ligands": ["a b!"]}, ["ligands"]),
        ({"target_crop": "5"}, ["target_crop", "'5'", "none"]),
        ({"unindexed": "A20/A20"}, ["share residues"]),
        ({"unindexed": "20"}, ["unindexed", "'20'"]),
        ({"motif": None}, ["motif", "A5-9"]),
        ({"energies": [{"radius_of_gyratoin": {}}]}, ["energies", "did you mean 'radius_of_gyration'"]),
        ({"energies": [{"contacts": {"leats": 3}}]}, ["contacts.leats", "least"]),
        ({"energies": [{"contacts": {"least": -1}}]}, ["contacts.least", "-1"]),
        ({"energies": [{"clash": {"weight": 0}}]}, ["clash.weight"]),
        ({"energies": [{"clash": {"schedule": "never"}}]}, ["clash.schedule", "'never'"]),
        ({"energies": [{"distance": {"between": ["A1", "A2"]}}]}, ["distance.at_most"]),
        ({"energies": [{"distance": {"between": ["A1"]}}]}, ["distance.between", "2 atoms"]),
        ({"energies": [{"angle": {"atoms": ["A1", "A2", "A0"], "value": 5}}]}, ["angle.atoms", "'A0'"]),
        ({"energies": [{"angle": {"atoms": ["A1", "A2", "A3"]}}]}, ["angle", "'value' is missing"]),
        ({"energies": [{"function": {}}]}, ["function.file", "Python file"]),
    ],
)
def test_what_cannot_be_is_refused(changes, says):
    with pytest.raises(InputError) as caught:
        design_from_dict({key: value for key, value in {**EVERYTHING, **changes}.items() if value is not None})
    assert "\n" not in str(caught.value)
    for part in says:
        assert part in str(caught.value)


def test_energies_as_text_and_data():
    energy = parse_energy("contacts chains=A,B least=20 weight=2 schedule=early")
    assert energy == Contacts(chains=("A", "B"), least=20, weight=2.0, schedule="early")
    assert energy.noise_levels == (np.inf, 2.0)
    assert energy_from_dict(energy_to_dict(energy)) == energy
    own = Function(function=test_energies_as_text_and_data)
    assert "test_energies_as_text_and_data" in energy_to_dict(own)["function"]["function"]
    with pytest.raises(InputError, match="name=value"):
        parse_energy("clash weight")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: parse_energy("clash distance=-1"), r"^energies\.clash\.distance: cannot be"),
        (lambda: parse_energy("distance between=A1 at_most=5"), r"^energies\.distance\.between: cannot be"),
        (lambda: parse_energy("contacts least=3 least=4"), r"^energies\.contacts\.least: is given twice"),
        (lambda: Contacts(least=2.5), r"^energies\.contacts\.least: cannot be \(found 2.5; allowed: a whole number"),
        (lambda: energy_from_dict({"clash": 5}), r"^energies\.clash: expected the settings"),
    ],
)
def test_wrong_energies_name_the_setting_once(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_strands_are_paired():
    pairs = strand_pairs(blocks_of("EEELLEEELLHHHHHHLLEEE"))
    assert [(pair.first.start, pair.second.start, pair.parallel) for pair in pairs] == [(0, 5, False), (5, 18, True)]
    assert pairs[0].facing() == [(5, 2), (6, 1), (7, 0)]
    assert pairs[1].facing() == [(5, 18), (6, 19), (7, 20)]
    only = strand_pairs(blocks_of("EEELLEEELLEEE"), adjacent=[(1, 3)])
    assert [(pair.first.start, pair.second.start) for pair in only] == [(0, 10)]


@given(seed=st.integers(0, 10_000), length=st.integers(20, 60), gap=st.integers(0, 6))
def test_unindexed_stretches_find_room(seed, length, gap):
    spec = DesignSpec(motif="m.pdb", contigs=parse_contigs(str(length)), unindexed=design_from_dict(
        {"motif": "m.pdb", "contigs": "50", "unindexed": "A5-7/A20/A30-32"}).unindexed).resolve(MOTIF)  # fmt: skip
    rng = np.random.default_rng(seed)
    layout = place_unindexed(DesignSpec(contigs=parse_contigs(str(length))).sample_layout(rng), spec.unindexed,
                             {(one.residues[-1], other.residues[0]): gap for one in spec.unindexed
                              for other in spec.unindexed}, rng)  # fmt: skip
    assert len(layout) == length
    placed = [place for place, residue in enumerate(layout.residues) if residue.origin]
    assert sorted(str(layout.residues[place].origin) for place in placed) == sorted(
        ["A5", "A6", "A7", "A20", "A30", "A31", "A32"]
    )
    starts = {name: layout.indices([ResidueId(chain="A", number=name)], "x")[0] for name in (5, 20, 30)}
    sizes = {5: 3, 20: 1, 30: 3}
    order = sorted(starts, key=starts.__getitem__)
    for before, after in pairwise(order):
        assert starts[after] - starts[before] - sizes[before] >= gap


def test_unindexed_stretches_that_do_not_fit():
    spec = design_from_dict({"motif": "m.pdb", "contigs": "8", "unindexed": "A5-7/A20/A30-34"}).resolve(MOTIF)
    with pytest.raises(InputError, match=r"unindexed: .*9 residues in 8"):
        spec.sample_layout(np.random.default_rng(0))


def test_parts_compose_in_any_order():
    motif, hot = Motif("t.pdb", "40 A1-30"), Hotspots("A5")
    whole = motif + hot + Symmetry("C3") + RadiusOfGyration(target=9) + Ring(disulfides="B1-B5") + KeepAway("A9")
    other = Symmetry("C3") + (RadiusOfGyration(target=9) + motif) + KeepAway("A9") + hot + Ring(disulfides="B1-B5")
    assert whole.spec(seed=3) == other.spec(seed=3)
    assert whole.spec().disulfides == parse_disulfides("B1-B5")
    assert (hot + Hotspots("A7")).asked["hotspots"] == tuple(ResidueId(chain="A", number=n) for n in (5, 7))
    assert Fold("H12").spec(contigs="12").secondary_structure == "H" * 12
    fold = Fold("L2E6L3H12L3E6", adjacent="1-3", parallel="1-3").spec(contigs="32")
    assert fold.parallel == ((1, 3),)
    assert Problem(length="20-30").spec().contigs.length_range() == (20, 30)
    assert RadiusOfGyration(target=12).spec(length=60).energies == (RadiusOfGyration(target=12),)
    assert (Symmetry("C3") + Contacts()).spec(length=60) == (Contacts() + Symmetry("C3")).spec(length=60)
    assert len((Contacts() + RadiusOfGyration(target=12)).spec(length=60).energies) == 2
    assert RadiusOfGyration(chains=["A", "B"]) == RadiusOfGyration(chains="A,B") == RadiusOfGyration(chains=("A", "B"))


def test_plain_data_says_in_python_what_it_says_in_a_file():
    keys = {"motif": "m.pdb", "contigs": ["40", "A1-30"], "hotspots": ["A5", "A12-13"], "seed": 7,
            "energies": [{"radius_of_gyration": {"target": 12}}, "clash weight=2"]}  # fmt: skip
    assert Problem(**keys).spec() == design_from_dict({"name": "design", **keys})
    assert Problem(contigs=60).spec() == Problem(contigs="60").spec()
    assert Problem(motif="m.pdb", noise=3, hold=["A"]).spec() == design_from_dict(
        {"motif": "m.pdb", "noise": 3, "hold": "A"}
    )
    assert Problem(motif="m.pdb", inpaint=["A10-12:5"]).spec() == design_from_dict(
        {"motif": "m.pdb", "inpaint": "A10-12:5"}
    )
    with pytest.raises(InputError, match="num_designs: expected a whole number"):
        Problem(contigs=60, num_designs=2.5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Motif("a.pdb", "A5/10") + Motif("b.pdb"), "different things.*a.pdb"),
        (lambda: Problem(hotspot="A5"), "did you mean 'hotspots'"),
        (lambda: Hotspots("A5").spec(), "contigs or a length"),
        (lambda: RadiusOfGyration(target=12).spec(), "contigs or a length"),
        (lambda: Symmetry("C3") + Symmetry("C4"), "^symmetry: .*different things.*C4.*C3"),
        (lambda: Symmetry(3), "^symmetry: .*found 3"),
        (lambda: RadiusOfGyration(target="12"), r"energies.radius_of_gyration.target.*a number"),
        (lambda: Contacts(chains=5), r"energies.contacts.chains.*names"),
        (lambda: Problem(contigs="5").spec(num_desings=2), "did you mean 'num_designs'"),
    ],
)
def test_parts_that_do_not_compose(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_residues_of_chains_whose_names_end_in_a_colon():
    bonds = parse_disulfides("A-2:2-A-2:-1, 1:3-B4, A2:A-2")
    assert bonds == ((("A-2", 2), ("A-2", -1)), (("1", 3), ("B", 4)), (("A", 2), ("A", -2)))
    assert parse_disulfides(",".join(KEYS["disulfides"].write(bonds))) == bonds
    atoms = [parse_atom(text, "between") for text in ("A-2:5", "A-2:N", "A-2:-1:O5'", "1:7:CB")]
    assert atoms == [("A-2", 5, "CA"), ("A", -2, "N"), ("A-2", -1, "O5'"), ("1", 7, "CB")]
