"""MotifBench: its files read, its formula, and scaffolds whose score is known."""

import json

import numpy as np
import pytest

from structdiff.cli.motifbench import RESULT_FILE, write_motifbench
from structdiff.errors import InputError
from structdiff.evaluation.motifbench import benchmark_score, placed_residues, problem_score, read_problems
from structdiff.evaluation.motifbench_scoring import score_benchmark
from structdiff.structure.files import write_structure


@pytest.fixture
def benchmark(tmp_path, ubiquitin):
    """A copy of the benchmark with one problem: two stretches of ubiquitin (72 resolved residues kept)."""
    folder = tmp_path / "MotifBench"
    (folder / "motif_pdbs").mkdir(parents=True)
    (folder / "test_cases.csv").write_text(
        "pdb_id,motif_residues,redesign_idcs,length,group\n1UBI,A3-12;A40-49,,76,2\n"
    )
    write_structure(ubiquitin, tmp_path / "whole.pdb")
    lines = ["REMARK 2 Motif Segment Placement in Reference PDB: 2;A;27;B;27"]
    for line in (tmp_path / "whole.pdb").read_text().splitlines():
        number = int(line[22:26]) if line.startswith("ATOM") else 0
        if 3 <= number <= 12:
            lines.append(f"{line[:21]}A{number - 2:4d}{line[26:]}")
        if 40 <= number <= 49:
            kind = "UNK" if number == 45 else line[17:20]
            if kind != "UNK" or line[12:16].strip() in ("N", "CA", "C", "O"):
                lines.append(f"{line[:17]}{kind} B{number - 39:4d}{line[26:]}")
    (folder / "motif_pdbs" / "01_1UBI.pdb").write_text("\n".join([*lines, "END", ""]))
    return folder


@pytest.fixture
def scaffolds(tmp_path, ubiquitin, generator):
    """Two scaffolds that hold the motif, one that does not, one that cannot be read."""
    folder = tmp_path / "scaffolds" / "01_1UBI"
    folder.mkdir(parents=True)
    write_structure(ubiquitin, folder / "01_1UBI_0.pdb")
    turned = ubiquitin.atoms.positions @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], np.float32)
    write_structure(ubiquitin.with_positions(turned, resolved=ubiquitin.atoms.resolved), folder / "01_1UBI_1.pdb")
    noise = generator.normal(0, 3, ubiquitin.atoms.positions.shape)
    noisy = ubiquitin.with_positions(ubiquitin.atoms.positions + noise, resolved=ubiquitin.atoms.resolved)
    write_structure(noisy, folder / "01_1UBI_2.pdb")
    (folder / "01_1UBI_3.pdb").write_text("nothing")
    rows = "".join(f"{number},2/A/27/B/27\n" for number in range(4))
    (folder / "scaffold_info.csv").write_text(f"sample_num,motif_placements\n{rows}")
    return folder.parent


def test_the_formula_is_that_of_the_benchmark(benchmark):
    assert problem_score(100) == pytest.approx(100)
    assert problem_score(5) == pytest.approx(52.5)
    problems = read_problems(benchmark)
    assert benchmark_score({}, problems) == 0
    assert benchmark_score({"01_1UBI": (5, 100)}, problems) == pytest.approx(52.5)


def test_a_problem_is_read_whole(benchmark):
    (problem,) = read_problems(benchmark)
    assert problem.name == "01_1UBI"
    assert (problem.length, problem.group) == (76, 2)
    assert problem.segments == {"A": 10, "B": 10}
    assert problem.redesign == {("B", 6)}
    assert problem.contigs == "0-56/A1-10/5-56/B1-10/0-56"


@pytest.mark.parametrize(
    ("placement", "says"),
    [("2/A/27", "placed once"), ("2/A/27/A/27", "placed once"), ("2/Q/5", "2/Q/5"), ("", "a placement is")],
)
def test_placements_that_cannot_be(benchmark, placement, says):
    with pytest.raises(InputError, match=says):
        placed_residues(read_problems(benchmark)[0], placement)


def test_geometry_alone(benchmark, scaffolds):
    (found,), score = score_benchmark(scaffolds, read_problems(benchmark))
    by_name = {each.name: each for each in found.scaffolds}
    assert by_name["01_1UBI_0"].motif_rmsd < 0.01
    assert by_name["01_1UBI_1"].success
    assert by_name["01_1UBI_2"].motif_rmsd > 2
    assert [each.success for each in found.scaffolds] == [True, True, False, False]
    assert len(found.failures) == 1
    assert found.solutions == 1  # both are the same fold
    assert found.score == score == pytest.approx(problem_score(1, 4))
    assert np.isnan(found.novelty)


def test_refolded_structures_decide_where_there_are_any(benchmark, scaffolds, ubiquitin, generator, tmp_path):
    folder = tmp_path / "refolded" / "01_1UBI"
    folder.mkdir(parents=True)
    positions = ubiquitin.atoms.positions
    for name, spread in (("01_1UBI_0.1", 3.0), ("01_1UBI_0.2", 0.2), ("01_1UBI_1.1", 3.0)):
        noisy = positions + generator.normal(0, spread, positions.shape)
        structure = ubiquitin.with_positions(noisy, resolved=ubiquitin.atoms.resolved)
        write_structure(structure, folder / f"{name}.pdb")
    (found,), _ = score_benchmark(scaffolds, read_problems(benchmark), refolded=tmp_path / "refolded")
    assert [each.success for each in found.scaffolds] == [True, False, False, False]
    assert found.scaffolds[0].refolded_rmsd < 0.5
    assert found.geometry_rate == 0.5


def test_a_residue_map_needs_no_table(benchmark, scaffolds):
    folder = scaffolds / "01_1UBI"
    (folder / "scaffold_info.csv").unlink()
    numbers = [*((n, "A", n - 2) for n in range(3, 13)), *((n, "B", n - 39) for n in range(40, 50))]
    rows = [
        {"design": {"chain": "A", "number": n}, "motif": {"chain": c, "number": m}, "group": 1} for n, c, m in numbers
    ]
    (folder / "01_1UBI_0.residue_map.json").write_text(json.dumps({"chains": [], "residues": rows}))
    (found,), _ = score_benchmark(scaffolds, read_problems(benchmark))
    assert found.scaffolds[0].success
    assert "nothing says where the motif is" in found.failures[0]


def test_what_is_missing_is_named(tmp_path, benchmark):
    with pytest.raises(InputError, match=r"test_cases\.csv"):
        read_problems(tmp_path)
    with pytest.raises(InputError, match="01_1UBI"):
        score_benchmark(tmp_path / "MotifBench", read_problems(benchmark))
    (benchmark / "motif_pdbs" / "01_1UBI.pdb").unlink()
    with pytest.raises(InputError, match="the motif of a problem is missing"):
        read_problems(benchmark)


def test_a_score_by_geometry_is_not_called_a_motifbench_score(tmp_path, benchmark, scaffolds):
    scores, score = score_benchmark(scaffolds, read_problems(benchmark))
    for refolded in (False, True):
        write_motifbench(scores, score, tmp_path / "out", {}, refolded=refolded)
        found = json.loads((tmp_path / "out" / RESULT_FILE).read_text())
        assert (found["motifbench_score"], found["geometry_score"]) == ((score, None) if refolded else (None, score))
