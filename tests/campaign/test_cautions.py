"""What is told before anything is drawn."""

from pathlib import Path

from structdiff.campaign.cautions import cautions
from structdiff.spec.contig_grammar import parse_contigs
from structdiff.spec.contigs import every_chain
from structdiff.spec.rebuilding import parse_noise

#: Of 226 residues; A1 and A20 are outside, A95 is the middle of a barrel.
BARREL = Path(__file__).parents[1] / "data" / "1o1z.cif.gz"


def test_hotspots_deep_in_their_target_are_told(planned) -> None:
    asked = {"motif": str(BARREL), "contigs": parse_contigs("12 A"), "hotspots": ["A20", "A95", "A1"]}
    for crop in ("auto", "none"):
        (told,) = cautions(planned(1, asked={**asked, "target_crop": crop}))
        assert told.startswith("hotspots A95 lie deep")
    assert not cautions(planned(1, asked={**asked, "hotspots": ["A20", "A1"]}))


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
    assert not cautions(planned(1, asked={**asked, "contigs": parse_contigs("A150-169/4/A174-194")}))
    assert not cautions(planned(1, asked={**asked, "motif": "examples/5tpn_site_v.pdb"}))
    assert not cautions(planned(1, asked={"motif": str(gapped), "contigs": parse_contigs("12 A")}))
