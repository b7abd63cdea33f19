"""Everything that can be wrong with an input: one clear line each, an exit code, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from structdiff.cli.main import main
from structdiff.cli.results import check_folder
from structdiff.errors import InputError

ROOT = Path(__file__).parents[2]
MOTIF = (ROOT / "examples" / "5tpn_site_v.pdb").read_text()
PEPTIDE = ">A|protein\nMKTAYIAKQRQISF\n"
DESIGN = ("design", "--motif", "motif.pdb", "--contigs")
FREE = ("design", "--length", "20")


def without_backbone(text: str) -> str:
    """The motif without the N of residue 170."""
    return "".join(line for line in text.splitlines(True) if line[12:16] != " N  " or line[22:26] != " 170")


def without_residue(text: str) -> str:
    """The motif without residue 170."""
    return "".join(line for line in text.splitlines(True) if line[22:26] != " 170")


def yaml_of(lines: str) -> str:
    return f"sequences:\n  - protein:\n      id: A\n      sequence: MKTAYIAKQR\n{lines}"


@dataclass(frozen=True)
class Bad:
    """One bad input: its name, the command, what the line must say, files to write, and settings of the process."""

    name: str
    command: tuple[str, ...]
    says: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    memory: str | None = None


def fasta(name: str, text: str, *says: str) -> Bad:
    return Bad(name, ("predict", "in.fasta"), ("in.fasta", *says), {"in.fasta": text})


def yaml(name: str, text: str, *says: str) -> Bad:
    return Bad(name, ("predict", "in.yaml"), ("in.yaml", *says), {"in.yaml": text})


def design(name: str, *arguments: str, says: tuple[str, ...], motif: str = MOTIF) -> Bad:
    return Bad(name, (*DESIGN, *arguments), says, {"motif.pdb": motif})


CASES = [
    # FASTA
    fasta("empty file", "", "empty"),
    fasta("blank file", " \n\n", "empty"),
    fasta("wrong letter", ">A|protein\nMKT4YIA\n", "'4'"),
    fasta("letter of several residues", ">A|protein\nMKTBYIA\n", "'B'"),
    fasta("ambiguous alphabet", ">my chain\nGATTACA\n", "GATTACA", "|dna"),
    fasta("unknown kind of chain", ">A|protien\nMKT\n", "protien", "did you mean 'protein'"),
    fasta("unknown CCD code", f"{PEPTIDE}>L|ccd\nQQQQ9\n", "QQQQ9"),
    fasta("unknown modified residue", ">A|protein\nMK(QQQQ9)T\n", "QQQQ9"),
    fasta("unparsable SMILES", f"{PEPTIDE}>L|smiles\nC1CC(\n", "SMILES", "C1CC("),
    fasta("two chains of one name", f"{PEPTIDE}{PEPTIDE}", "A"),
    fasta("header without sequence", ">A|protein\n", "A"),
    fasta("missing MSA file", ">A|protein|nowhere.a3m\nMKTAYIAKQR\n", "nowhere.a3m"),
    Bad("MSA of another chain", ("predict", "in.fasta"), ("in.fasta", "alignment", "msa"),
        {"in.fasta": ">A|protein|own.a3m\nMKTAYIAKQR\n", "own.a3m": ">query\nMKTAYLAKQR\n>other\nMKTAYLAKQR\n"}),
    Bad("a name that is not UTF-8", (*FREE, "--name", "a\udcff"), ("name: the name must do as the name of a file",)),
    Bad("a name with letters that have no shape", (*FREE, "--dry-run", "--name", "a\x7f"), ("the name must do",)),
    Bad("missing file", ("predict", "nowhere.fasta"), ("nowhere.fasta", "no such file")),
    Bad("a folder as input", ("predict", "folder.fasta"), ("folder.fasta",), {"folder.fasta/x": ""}),
    Bad("unknown format", ("predict", "in.docx"), ("in.docx", "format"), {"in.docx": "hello"}),
    Bad("restraints of two inputs", ("predict", "in.fasta", "in.fasta", "--restraints", "x.restraints"),
        ("restraints", "'2 inputs'"), {"in.fasta": PEPTIDE, "x.restraints": "chainA\n"}),
    Bad("restraints of another complex", ("predict", "in.fasta", "--restraints", "x.restraints"),
        ("x.restraints:2", "chainB", "'Z'"), {"in.fasta": PEPTIDE, "x.restraints":
        "chainA,res_idxA,chainB,res_idxB,connection_type,max_distance_angstrom\nA,,Z,D3,pocket,8\n"}),
    # YAML and JSON
    yaml("unknown key", yaml_of("constrains: []\n"), "constrains", "did you mean 'constraints'"),
    yaml("unknown key of a chain", yaml_of("      sequnce: MK\n"), "sequnce"),
    yaml("no sequences", "version: 1\n", "sequences"),
    yaml("broken YAML", "sequences: [\n", "in.yaml:"),
    yaml("bond to a chain that is not there", yaml_of(
        "constraints:\n  - bond: {atom1: [A, 1, N], atom2: [Z, 1, C]}\n"), "Z"),
    yaml("bond to an atom that is not there", yaml_of(
        "constraints:\n  - bond: {atom1: [A, 1, XX], atom2: [A, 5, N]}\n"), "XX"),
    yaml("contact beyond the chain", yaml_of(
        "constraints:\n  - contact: {token1: [A, 99], token2: [A, 2]}\n"), "99"),
    Bad("templates", ("predict", "in.yaml"), ("templates",),
        {"in.yaml": yaml_of("templates:\n  - pdb: motif.pdb\n    chain_id: A\n    template_id: A\n"),
         "motif.pdb": MOTIF}),
    Bad("broken JSON", ("predict", "in.json"), ("in.json",), {"in.json": "{"}),
    Bad("JSON with an unknown key", ("predict", "in.json"), ("in.json", "modelSeed"), {"in.json":
        '{"name": "x", "modelSeeds": [1], "modelSeed": 1, "sequences": [], "dialect": "alphafold3", "version": 1}'}),
    # contigs and motifs
    design("contig beyond the chain", "10/A180-250/10", says=("motif.pdb", "A250", "150 to 194")),
    design("chain that is not there", "10/Q5-9/10", says=("motif.pdb", "Q")),
    design("overlapping contigs", "10/A163-175/5/A170-181/10", says=("contigs", "A170")),
    design("reversed contig", "10/A181-163/10", says=("A181-163",)),
    design("reversed range of new residues", "40-10/A163-181", says=("40-10",)),
    design("senseless contig", "10/A163-181/banana!", says=("banana!",)),
    design("gap in the motif", "10/A163-181/10", says=("motif.pdb", "170"), motif=without_residue(MOTIF)),
    design("motif with missing backbone", "10/A163-181/10", says=("170", "N"), motif=without_backbone(MOTIF)),
    design("empty motif file", "10/A163-181/10", says=("motif.pdb", "empty"), motif=""),
    design("motif that is no structure", "10/A163-181/10", says=("motif.pdb",), motif="hello\n"),
    Bad("contigs name a motif that is not given", ("design", "--contigs", "10/A5-9/10"), ("A5-9", "motif")),
    Bad("motif file of unknown kind", ("design", "--motif", "motif.xyz", "--contigs", "5/A1-3/5"), ("motif.xyz",),
        {"motif.xyz": MOTIF}),
    Bad("missing motif file", ("design", "--motif", "nowhere.pdb", "--contigs", "5/A1-3/5"),
        ("nowhere.pdb", "no such file")),
    Bad("truncated mmCIF", ("design", "--motif", "cut.cif", "--contigs", "5/A1-3/5"), ("cut.cif",),
        {"cut.cif": "data_x\nloop_\n_atom_site.id\n_atom_site.type_symbol\n_atom_site.label_atom_id\n1 N N 2 C"}),
    Bad("damaged gzip", ("design", "--motif", "cut.pdb.gz", "--contigs", "5/A1-3/5"), ("cut.pdb.gz", "gzip"),
        {"cut.pdb.gz": "\x1f\x8b\x08\x00broken"}),
    # wishes
    design("tip of a residue that is not kept", "10/A163-181/10", "--tip", "A190", says=("tip", "A190")),
    design("ligand that is not there", "10/A163-181/10", "--ligands", "HEM", says=("motif.pdb", "ligands", "HEM")),
    design("epitope of no chain", "10 A", "--epitope", "Z", says=("motif.pdb", "epitope", "Z")),
    design("disulfide of the motif", "5/A163-181", "--disulfides", "A2-A9", says=("disulfides", "A9")),
    design("the same in a dry run", "5/A163-181", "--disulfides", "A2-A9", "--dry-run", says=("disulfides", "A9")),
    design("steps in a dry run", "5/A163-181", "--steps", "0", "--dry-run", says=("steps", "found 0")),
    design("a filter in a dry run", "5/A163-181", "--filter", "scrmsd < 2", "--dry-run", says=("'sc_rmsd'",)),
    design("linker that cannot reach", "A163-165/1/A178-181", says=("motif.pdb", "A165", "A178", "at least")),
    design("hotspot of the designed chain", "10/A163-181", "--hotspots", "A165", says=("hotspots", "A165", "other")),
    design("unindexed motif without room", "8", "--unindexed", "A163-175", says=("unindexed", "13 residues in 8")),
    Bad("energy that does not exist", (*FREE, "--energy", "gravity"), ("energies", "gravity", "contacts")),
    Bad("setting of an energy", (*FREE, "--energy", "contacts leats=5"), ("contacts.leats", "least")),
    Bad("shape without its file", (*FREE, "--energy", "shape file=no.xyz"), ("energies.shape.file", "no.xyz")),
    Bad("blocks without a fold", (*FREE, "--adjacent", "1-2"), ("adjacent", "none is given")),
    design("hotspot outside the contigs", "10/A163-181/10", "--hotspots", "A190", says=("hotspots", "A190")),
    design("hotspot that is no residue", "10/A163-181/10", "--hotspots", "A", says=("hotspots", "'A'")),
    design("hotspot to keep away from", "10/A163-181/10", "--hotspots", "A165", "--keep-away", "A165",
           says=("keep_away", "A165")),
    design("length out of reach", "10/A163-181/10", "--length", "100", says=("length", "39")),
    Bad("reversed length", ("design", "--length", "80-60"), ("length", "60-80")),
    Bad("wrong letter of secondary structure", (*FREE, "--secondary-structure", "H10X10"),
        ("secondary_structure", "'X'")),
    Bad("secondary structure of another length", (*FREE, "--secondary-structure", "H19"),
        ("secondary_structure", "19")),
    Bad("wrong letter of burial", (*FREE, "--burial", "Z20"), ("burial", "'Z'")),
    Bad("cyclic chain that is not there", (*FREE, "--cyclic", "Q"), ("cyclic", "'Q'")),
    Bad("no designs", (*FREE, "-n", "0"), ("num_designs", "0")),
    Bad("no draws", (*FREE, "--draws", "0"), ("draws", "0")),
    Bad("seed out of range", (*FREE, "--seed", "-1"), ("seed", "-1")),
    Bad("name of a folder", (*FREE, "--name", "a/b"), ("name", "a/b")),
    Bad("nothing to design", ("design",), ("--contigs",)),
    Bad("design file with an unknown key", ("design", "in.yaml"), ("in.yaml", "contig", "did you mean 'contigs'"),
        {"in.yaml": "contig: 100\n"}),
    # campaigns
    Bad("filter on an unknown column", (*FREE, "--filter", "scrmsd < 2"), ("filter", "did you mean 'sc_rmsd'")),
    Bad("filter that is no condition", (*FREE, "--filter", "plddt <"), ("filter", "cannot be read")),
    Bad("filter that calls something", (*FREE, "--filter", "exit() == 1"), ("filter", "exit()")),
    Bad("ranking by an unknown column", (*FREE, "--rank-by", "pldd"), ("rank_by", "did you mean 'plddt'")),
    Bad("no sequences for a design", (*FREE, "--sequences", "0"), ("sequences", "0")),
    Bad("unknown model of sequences", (*FREE, "--sequence-model", "protienmpnn"), ("did you mean 'proteinmpnn'",)),
    Bad("model of sequences that was not fetched", (*FREE, "--sequence-model", "ligandmpnn"),
        ("structdiff weights fetch ligandmpnn",)),
    Bad("unknown judge", (*FREE, "--judge", "trroseta"), ("judge", "did you mean 'trrosetta'")),
    Bad("judge that was not fetched", (*FREE, "--judge", "trrosetta"), ("fetch tr-rosetta-pytorch",)),
    Bad("letters at a residue that is not there", (*FREE, "--allow-at", "A100=C"), ("allow_at", "A100", "A1 to A20")),
    design("letters at a held residue", "5/A163-181", "--allow-at", "A6=W", says=("allow_at", "A6=W", "keeps")),
    design("and in a dry run", "5/A163-181", "--allow-at", "A6=W", "--dry-run", says=("allow_at", "A6=W", "keeps")),
    Bad("all amino acids avoided", (*FREE, "--avoid", "ACDEFGHIKLMNPQRSTVWY"), ("avoid", "no amino acid")),
    Bad("refolding command without its output", (*FREE, "--refold-command", "fold {yaml}"), ("{out}",)),
    Bad("refolding command with an unknown mark", (*FREE, "--refold-command", "fold {yml} {out}"), ("{yml}", "yaml")),
    Bad("workers that are no number", (*FREE, "--workers", "many"), ("workers", "many")),
    Bad("no worker for a stage", (*FREE, "--workers", "backbone=2"), ("workers", "refold")),
    Bad("a part of nothing", (*FREE, "--part", "5/4"), ("part", "5/4")),
    Bad("status of no campaign", ("campaign", "status", "folder"), ("folder", "no campaign"), {"folder/x": ""}),
    Bad("merging no campaign", ("campaign", "merge", "folder", "--out", "all"), ("folder", "no campaign"),
        {"folder/x": ""}),
    Bad("Slurm without a design", ("campaign", "slurm", "--parts", "4", "--out", "all"), ("what to design",)),
    Bad("Slurm with a part", ("campaign", "slurm", "--parts", "4", "--out", "all", "--", "--part", "1/2"), ("--part",)),
    Bad("explaining an unknown metric", ("explain", "scrmsd"), ("explain lists them", "did you mean 'sc_rmsd'")),
    # sampling
    Bad("unknown solver", (*FREE, "--solver", "huen"), ("solver", "did you mean 'heun'")),
    Bad("knob of another solver", (*FREE, "--solver", "heun", "--step-scale", "1.2"), ("step_scale", "heun")),
    Bad("negative steps", (*FREE, "--steps", "-5"), ("steps", "-5")),
    Bad("steps that are no number", (*FREE, "--steps", "many"), ("--steps", "integer")),
    Bad("churn out of range", (*FREE, "--solver", "stochastic", "--churn", "99"), ("churn", "99")),
    Bad("negative recycles", (*FREE, "--recycles", "-1"), ("recycles", "-1")),
    Bad("empty batches", (*FREE, "--batch-size", "0"), ("batch_size", "0")),
    Bad("guidance that is no number", (*FREE, "--guidance", "strong"), ("guidance", "strong")),
    Bad("guidance that is not finite", (*FREE, "--guidance", "nan"), ("guidance", "nan")),
    Bad("guidance of what is not asked", (*FREE, "--dry-run", "--guidance", "motif=2"), ("guidance", "nothing asks")),
    Bad("guidance by an unknown name", (*FREE, "--guidance", "motiv=2"), ("guidance", "did you mean 'motif'")),
    Bad("kernels by an unknown name", (*FREE, "--kernels", "natve"), ("kernels", "natve", "did you mean 'native'")),
    Bad("unknown device", (*FREE, "--device", "gpu"), ("device", "gpu")),
    Bad("unknown option", (*FREE, "--stepz", "5"), ("--stepz",)),
    Bad("no samples", ("predict", "in.fasta", "--samples", "0"), ("samples", "0"), {"in.fasta": PEPTIDE}),
    Bad("unknown format of files", ("predict", "in.fasta", "--format", "mol2"), ("format", "mol2"),
        {"in.fasta": PEPTIDE}),
    # weights, folders, memory
    Bad("missing weights", (*FREE, "--weights", "maxi"), ("weights", "maxi")),
    Bad("folder without weights", (*FREE, "--weights", "folder"), ("config.json",), {"folder/x": ""}),
    Bad("corrupt weights", (*FREE, "--weights", "folder"), ("folder", "cannot be read"),
        {"folder/config.json": "{}", "folder/model.safetensors": "garbage"}),
    Bad("corrupt description of weights", (*FREE, "--weights", "folder"), ("folder", "cannot be read"),
        {"folder/config.json": "{", "folder/model.safetensors": "garbage"}),
    Bad("description of weights without sizes", (*FREE, "--weights", "empty"), ("config.json", "model")),
    Bad("output is a file", (*FREE, "--out", "taken"), ("taken", "not a folder"), {"taken": "mine"}),
    Bad("output below a file", ("predict", "in.fasta", "--out", "taken/deeper"), ("taken", "not a folder"),
        {"taken": "mine", "in.fasta": PEPTIDE}),
    Bad("design over memory", ("design", "--length", "3000"), ("3000 tokens", "GiB"), memory="0.5"),
    Bad("prediction over memory", ("predict", "in.fasta"), ("400 tokens", "GiB"),
        {"in.fasta": f">A|protein\n{'MKTAYIAKQR' * 40}\n"}, memory="0.01"),
    # the other commands
    Bad("view of a missing file", ("view", "nowhere.cif", "--no-open"), ("nowhere.cif",)),
    Bad("view in an unknown style", ("view", "motif.pdb", "--style", "cartoons", "--no-open"), ("style", "'cartoon'"),
        {"motif.pdb": MOTIF}),
    Bad("view by motif without a map", ("view", "motif.pdb", "--color", "motif", "--no-open"), ("color", "residue map"),
        {"motif.pdb": MOTIF}),
    Bad("training settings with an unknown key", ("train", "in.yaml"), ("in.yaml", "model"),
        {"in.yaml": "data: d\nout: o\nmodle: tiny\n"}),
    Bad("training settings that are missing", ("train", "nowhere.yaml"), ("nowhere.yaml",)),
    Bad("preparing a folder without structures", ("prepare", "folder", "set"), ("folder", "no structure files"),
        {"folder/x": ""}),
    Bad("preparing a missing folder", ("prepare", "nowhere", "set"), ("nowhere", "no such folder")),
    Bad("unknown published weights", ("weights", "path", "proteinmpn"), ("weights", "did you mean 'proteinmpnn'")),
    Bad("sequences by an unknown network", ("sequence", "motif.pdb", "--model", "protinmpnn"),
        ("model", "did you mean 'proteinmpnn'"), {"motif.pdb": MOTIF}),
    Bad("sequences at a low temperature", ("sequence", "motif.pdb", "--temperature", "-1"), ("temperature", "-1.0"),
        {"motif.pdb": MOTIF}),
    Bad("unknown command", ("desing",), ("desing",)),
    # Evaluation
    Bad("evaluating what is not there", ("evaluate", "nowhere"), ("nowhere", "no such file or folder")),
    Bad("evaluating a folder without structures", ("evaluate", "folder"), ("folder", "no structures found"),
        {"folder/notes.txt": "hello"}),
    Bad("evaluating a broken file alone", ("evaluate", "broken.pdb"), ("broken.pdb", "no atoms"),
        {"broken.pdb": "REMARK nothing\n"}),
    Bad("evaluating against no reference", ("evaluate", "motif.pdb", "--reference", "nowhere.pdb"), ("nowhere.pdb",),
        {"motif.pdb": MOTIF}),
    Bad("references of other names", ("evaluate", "motif.pdb", "--reference", "true"), ("true", "no reference"),
        {"motif.pdb": MOTIF, "true/other.pdb": MOTIF}),
    Bad("evaluating with a map that is none", ("evaluate", "motif.pdb", "--residue-map", "map.json"),
        ("map.json", "residue map"), {"motif.pdb": MOTIF, "map.json": '{"residues": [1]}'}),
    Bad("hotspots that cannot be read", ("evaluate", "motif.pdb", "--hotspots", "A1..5"), ("hotspots", "A1..5"),
        {"motif.pdb": MOTIF}),
    Bad("natural chains that are not there", ("evaluate", "motif.pdb", "--natural", "nowhere"), ("nowhere", "natural"),
        {"motif.pdb": MOTIF}),
    Bad("refolded structures without MotifBench", ("evaluate", "motif.pdb", "--refolded", "folder"), ("refolded",),
        {"motif.pdb": MOTIF, "folder/x": ""}),
    Bad("MotifBench that is not there", ("evaluate", "scaffolds", "--motifbench", "nowhere"), ("test_cases.csv",),
        {"scaffolds/motif.pdb": MOTIF}),
    # Symmetry, partial diffusion, loops
    Bad("symmetry that is none", (*FREE, "--symmetry", "E3"), ("symmetry", "E3", "helical")),
    Bad("helix without its numbers", (*FREE, "--symmetry", "helical:copies=5"), ("symmetry", "rise")),
    Bad("placed motif without a motif", (*FREE, "--symmetry", "C3:motif=placed"), ("symmetry.motif", "no motif")),
    Bad("cropping a target that is not there", (*FREE, "--target-crop", "50"), ("target_crop", "'50'", "70-90 B1-100")),
    Bad("noise that is none", ("design", "--partial", "motif.pdb", "--noise", "much"), ("noise", "much"),
        {"motif.pdb": MOTIF}),
    Bad("two structures to begin with", ("design", "--motif", "motif.pdb", "--partial", "other.pdb"),
        ("partial", "motif.pdb", "other.pdb"), {"motif.pdb": MOTIF, "other.pdb": MOTIF}),
    Bad("partial diffusion of a missing file", ("design", "--partial", "nowhere.pdb"), ("nowhere.pdb",)),
    Bad("holding everything", ("design", "--partial", "motif.pdb", "--hold", "A"), ("motif.pdb", "hold"),
        {"motif.pdb": MOTIF}),
    Bad("loop outside the structure", ("design", "--motif", "motif.pdb", "--inpaint", "A300-310"),
        ("motif.pdb", "inpaint", "A300-310"), {"motif.pdb": MOTIF}),
    # Import
    Bad("importing a missing file", ("import", "nowhere.sh"), ("nowhere.sh",)),
    Bad("importing an unknown setting", ("import", "contigmap.contigs=[50]", "contigmap.lenght=5"),
        ("contigmap.lenght", "did you mean 'contigmap.length'")),
    Bad("importing what cannot be done", ("import", "in.sh"), ("inpaint_str", "B1-5"),
        {"in.sh": "run_inference.py 'contigmap.contigs=[50]' contigmap.inpaint_str=[B1-5]\n"}),
    Bad("importing two calls", ("import", "in.sh"), ("in.sh", "2 calls"),
        {"in.sh": "run_inference.py a.b=1\nrun_inference.py a.b=2\n"}),
    Bad("importing JSON with an unknown field", ("import", "in.json"), ("in.json", "one", "did you mean 'contig'"),
        {"in.json": '{"one": {"contigs": "50", "length": 50}}'}),
]  # fmt: skip


def _write(case: Bad, folder: Path) -> set[Path]:
    for name, text in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    return set(folder.rglob("*"))


def _arguments(case: Bad, weights: Path) -> list[str]:
    wants_weights = case.command[0] in ("design", "predict") and "--weights" not in case.command
    return [*case.command, *(["--weights", str(weights)] if wants_weights else [])]


def _check(case: Bad, code: int, errors: list[str], before: set[Path], folder: Path) -> None:
    assert code == 2
    assert len(errors) == 1, errors
    assert errors[0].startswith("error: ")
    assert "unexpected" not in errors[0]
    for part in case.says:
        assert part in errors[0]
    assert set(folder.rglob("*")) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_clear_line(case: Bad, weights: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    if case.memory is not None:
        monkeypatch.setenv("STRUCTDIFF_MEMORY_GIB", case.memory)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text("{}")
    (empty / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes())
    before = _write(case, tmp_path)
    code = main(_arguments(case, weights))
    _check(case, code, capsys.readouterr().err.splitlines(), before, tmp_path)


@pytest.mark.parametrize("name", ["wrong letter", "motif with missing backbone", "unknown option"])
def test_in_a_process_of_its_own(name: str, weights: Path, tmp_path) -> None:
    case = next(each for each in CASES if each.name == name)
    before = _write(case, tmp_path)
    process = subprocess.run(
        [sys.executable, "-m", "structdiff", *_arguments(case, weights)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    _check(case, process.returncode, process.stderr.splitlines(), before, tmp_path)


def test_there_are_many_and_no_two_alike() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


def test_unexpected_faults_are_one_line_too(weights: Path, tmp_path, monkeypatch, capsys) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault\nof the program")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("structdiff.pipeline.design", broken)
    code = main([*FREE, "--weights", str(weights)])
    assert code == 1
    assert capsys.readouterr().err == (
        "error: design_1: unexpected ZeroDivisionError: a fault of the program (--debug shows where)\n"
    )
    assert main([*FREE, "--weights", str(weights), "--debug"]) == 1
    assert "in broken" in capsys.readouterr().err


def test_what_the_system_refuses_is_named_and_no_fault(tmp_path, monkeypatch, capsys) -> None:
    def locked(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "site.pdb"))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("structdiff.spec.design.read_design", locked)
    (tmp_path / "site.yaml").write_text("length: 20\n")
    assert main(["design", "site.yaml"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/site.pdb: cannot be used: Permission denied\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_without_room_is_told(monkeypatch, capsys) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main(["explain", "sc_rmsd"]) == 2
        assert capsys.readouterr().err == "error: cannot be read or written: No space left on device\n"
        with contextlib.suppress(OSError):
            full.close()


def test_closed_streams_and_a_folder_that_is_gone(tmp_path) -> None:
    program = f"{sys.executable} -m structdiff"
    closed = subprocess.run(["bash", "-c", f"{program} explain sc_rmsd <&- >&- 2>&-"], cwd=ROOT)
    assert closed.returncode == 0
    (tmp_path / "gone").mkdir()
    script = f"cd {tmp_path / 'gone'} && rmdir {tmp_path / 'gone'} && PYTHONPATH={ROOT} {program} explain sc_rmsd"
    gone = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (gone.returncode, gone.stderr) == (2, "error: the current folder was removed: change to another one\n")


def test_every_refusal_names_a_way_out_when_there_is_one(command: Callable, weights: Path) -> None:
    """A misspelt word is answered with the word that was meant, an option that is unknown with where to look."""
    _, _, errors = command(*FREE, "--solver", "eular", "--weights", weights)
    assert "did you mean 'euler'" in errors[0]
    _, _, errors = command(*FREE, "--stepz", "5")
    assert "structdiff design --help" in errors[0]


def test_a_folder_for_results_that_is_not_utf8(tmp_path) -> None:
    with pytest.raises(InputError, match="the name of this folder is not UTF-8: rename it"):
        check_folder(tmp_path / "out\udcff")


@pytest.mark.parametrize("given", [["--out", ""], ["--out="], ["-o", ""]])
def test_an_empty_folder_is_not_the_current_one(given, command):
    code, _, errors = command("design", "--length", "40", "--dry-run", *given)
    assert code == 2
    assert errors == ["error: out: is empty (allowed: a name, or . for the current folder)"]
