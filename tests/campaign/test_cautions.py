"""What is told before anything is drawn."""

from pathlib import Path

from structdiff.campaign.cautions import cautions
from structdiff.design_jobs import layout_of
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import every_chain
from structdiff.spec.rebuilding import parse_kept, parse_noise

#: Of 226 residues; A1 and A20 are outside, A95 is the middle of a barrel.
BARREL = Path(__file__).parents[1] / "data" / "1o1z.cif.gz"


def test_hotspots_deep_in_their_target_are_told(planned) -> None:
    asked = {"motif": str(BARREL), "contigs": parse_contigs("12 A"), "hotspots": ["A20", "A95", "A1"]}
    for crop in ("auto", "none"):
        missing, told = cautions(planned(1, asked={**asked, "target_crop": crop}))
        assert missing.startswith("the structure lacks atoms of what is kept")
        assert told.startswith("hotspots A95 lie deep")
    (missing,) = cautions(planned(1, asked={**asked, "hotspots": ["A20", "A1"]}))
    assert missing.startswith("the structure lacks atoms of what is kept")


def test_a_ligand_may_be_a_hotspot(planned) -> None:
    asked = {"motif": "examples/problems/chromophore.pdb", "contigs": parse_contigs("40"), "ligands": ("HC4",)}
    assert cautions(planned(1, asked={**asked, "hotspots": ["A201"]})) == cautions(planned(1, asked=asked))


def test_sequences_that_will_all_be_equal_are_told(planned) -> None:
    asked = {"contigs": every_chain(), "noise": parse_noise("1"), "keep_sequence": "all"}
    (told,) = cautions(planned(1, asked=asked, sequences=3))
    assert "the 3 sequences of a backbone are one and the same" in told
    assert not cautions(planned(1, asked=asked))
    assert not cautions(planned(1, sequences=3))


def test_gaps_that_partial_diffusion_closes_are_told(planned, tmp_path) -> None:
    """The chain is drawn together there, and its numbers still leave the gap."""
    lines = Path("examples/5tpn_site_v.pdb").read_text().splitlines(keepends=True)
    gapped = tmp_path / "gapped.pdb"
    gapped.write_text(
        "".join(line for line in lines if not (line.startswith("ATOM") and 170 <= int(line[22:26]) < 174))
    )
    asked = {"motif": str(gapped), "contigs": every_chain(), "noise": parse_noise("4")}
    (told,) = cautions(planned(1, asked=asked))
    assert told.startswith("residues are missing between A169 and A174 of the structure")
    held, *_ = cautions(planned(1, asked={**asked, "hold": parse_kept("A165-180", "hold")}))
    assert held == told
    assert not cautions(planned(1, asked={**asked, "contigs": parse_contigs("A150-169/4/A174-194")}))
    assert not cautions(planned(1, asked={**asked, "motif": "examples/5tpn_site_v.pdb"}))
    assert not cautions(planned(1, asked={"motif": str(gapped), "contigs": parse_contigs("12 A")}))


def test_atoms_that_are_missing_in_what_is_kept_are_told(planned, tmp_path) -> None:
    """Of the motif's side chains and of its ligand; not of side chains that nothing holds."""
    lines = Path("examples/problems/chromophore.pdb").read_text().splitlines(keepends=True)
    kept = [line for line in lines if line[17:26] not in ("HC4 A 201", "GLU A  46") or line[12:16].strip() in
            ("N", "CA", "C", "O", "C1", "C2", "C3", "O1", "C1'")]  # fmt: skip
    cut = tmp_path / "cut.pdb"
    cut.write_text("".join(kept))
    asked = {"motif": str(cut), "contigs": parse_contigs("8 A42-52 8"), "ligands": ("HC4",)}
    told, bond = cautions(planned(1, asked=asked))
    assert bond.endswith("A69 SG - A201 C1")
    assert told.startswith(
        "the structure lacks atoms of what is kept, and they are drawn anew: A46 (CB, CG, CD, OE1, OE2)"
    )
    assert "A201 (" in told
    told, _ = cautions(planned(1, asked={**asked, "backbone_only": ["A46"]}))
    assert "A46" not in told
    assert cautions(planned(1, asked={**asked, "motif": "examples/problems/chromophore.pdb"})) == [bond]


def test_bonds_to_what_is_not_kept_are_told(planned) -> None:
    """Half of a disulfide is a cysteine; both halves, a backbone alone and another amino acid lose nothing."""
    asked = {"motif": str(BARREL.parent / "1dix.cif.gz"), "contigs": parse_contigs("8 A20-30 8")}

    def cut(**more) -> list[str]:
        told = cautions(planned(1, asked={**asked, **more}))
        return [each for each in told if each.startswith("bonds of what is kept")]

    (told,) = cut()
    assert told.endswith("lead to what is not, and are left out: A18 SG - A24 SG, A25 SG - A81 SG")
    assert cut(backbone_only=["A24"], redesign=["A25"]) == []
    assert cut(contigs=parse_contigs("8 A18-24 8")) == []


def test_bonds_to_what_the_network_alone_does_not_see_are_not_cut(planned) -> None:
    """The files hold the whole target, and its disulfides."""
    motif = str(BARREL.parent / "1dix.cif.gz")
    asked = {"motif": motif, "contigs": parse_contigs("20 A"), "hotspots": "A40", "target_crop": 60}
    campaign = planned(1, asked=asked)
    drawn = {each.origin.number for each in layout_of(campaign.spec, 0)[1].residues if each.origin is not None}
    assert len({54, 100} & drawn) == 1  # which are bonded to each other
    assert not [each for each in cautions(campaign) if "left out" in each]


def test_disulfides_that_partial_diffusion_loses_are_told(planned) -> None:
    """By name, where a cysteine gets another amino acid; whether its other end is held, kept or as open."""
    asked = {"motif": str(BARREL.parent / "1dix.cif.gz"), "contigs": parse_contigs("A14-30"), "noise": parse_noise("4")}

    def told(**more) -> list[str]:
        return [each for each in cautions(planned(1, asked={**asked, **more})) if "SG" in each or "disulfide" in each]

    lost = "disulfides of cysteines that get a new amino acid are left out: A18-A24; they stay where both ends keep "
    assert told() == told(keep_sequence="A18") == [f"{lost}theirs (keep_sequence: A18, A24)"]
    assert told(hold="A18") == [f"{lost}theirs (keep_sequence: A24)"]
    (cut,) = told(keep_sequence="all")
    assert cut == "bonds of what is kept lead to what is not, and are left out: A25 SG - A81 SG"
    assert told(keep_sequence="A18,A24") == told(hold="A18", keep_sequence="A24") == told(disulfides="A5-A11") == []
