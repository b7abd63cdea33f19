"""``structdiff import`` writes designs that ``structdiff design`` reads."""

from __future__ import annotations

import json
import shlex

from structdiff.spec.design import read_design


def test_a_script_becomes_a_design_beside_its_structure(motif, command, tmp_path):
    (tmp_path / "run.sh").write_text(
        "python run_inference.py inference.input_pdb=motif.pdb 'contigmap.contigs=[5/A163-170/5]' "
        "inference.output_prefix=out/site denoiser.noise_scale_ca=0.5 inference.cautious=False\n"
    )
    code, output, _ = command("import", "run.sh", "--out", "made/site.yaml")
    assert code == 0
    assert "note: says how RFdiffusion computes, and has no counterpart: inference.cautious" in output
    assert "structdiff design made/site.yaml --noise-scale 0.5" in output
    assert (
        "note: noise_scale_ca 0.5, noise_scale_frame 1: structdiff has one noise scale for both, and 0.5 is" in output
    )
    spec = read_design(tmp_path / "made/site.yaml")
    assert str(spec.contigs) == "5/A163-170/5"
    code, output, _ = command("design", "made/site.yaml", "--dry-run")
    assert code == 0
    assert "A163-170" in output


def test_settings_on_the_command_line_and_a_structure_elsewhere(motif, command, tmp_path):
    words = ["inference.input_pdb=/far/away.pdb", "contigmap.contigs=[45]", "diffuser.partial_T=10"]
    code, output, _ = command("import", *words, "--pdb", "motif.pdb", "--out", "x.yaml")
    assert code == 0
    spec = read_design(tmp_path / "x.yaml")
    assert str(spec.noise) == "3.8"
    assert spec.motif.endswith("motif.pdb")
    code, output, _ = command("design", "x.yaml", "--dry-run")
    assert "45 residues" in output


def test_noise_scales_that_are_alike_need_no_note(command, tmp_path):
    both = ["denoiser.noise_scale_ca=0.5", "denoiser.noise_scale_frame=0.5"]
    code, output, _ = command("import", "contigmap.contigs=[45]", *both, "--out", "x.yaml")
    assert (code, "noise scale" in output) == (0, False)
    code, _, errors = command("import", "contigmap.contigs=[45]", *both[:1], "denoiser.noise_scale_frame=0")
    assert (code, "one noise scale" in errors[0]) == (2, True)


def test_hydras_options_and_the_program_are_read_from_the_command_line(command, tmp_path):
    words = ["python", "./scripts/run_inference.py", "--config-name=symmetry", "inference.symmetry=C6",
             "contigmap.contigs=[480]"]  # fmt: skip
    for given in (words, words[2:], [words[0], words[1], "--config-name", "symmetry", *words[3:]]):
        code, _, _ = command("import", *given, "--out", "x.yaml")
        assert code == 0
        assert str(read_design(tmp_path / "x.yaml").contigs) == "80"


def test_hydras_configuration_of_a_run_is_read_with_the_fields_that_rfdiffusion3_has_too(motif, command, tmp_path):
    (tmp_path / "config.yaml").write_text(
        "inference: {input_pdb: /far/away.pdb, symmetry: null, num_designs: 3, output_prefix: out/site}\n"
        "contigmap: {contigs: [5/A163-170/5], inpaint_seq: null, length: null}\ndiffuser: {T: 50, partial_T: null}\n"
    )
    code, _, _ = command("import", "config.yaml", "--pdb", "motif.pdb")
    assert code == 0
    spec = read_design(tmp_path / "site.yaml")
    assert (str(spec.contigs), spec.num_designs) == ("5/A163-170/5", 3)


def test_neither_the_source_nor_a_file_that_was_not_named_is_replaced(command, tmp_path):
    text = "inference: {output_prefix: out/site}\ncontigmap: {contigs: ['40']}\n"
    (tmp_path / "site.yaml").write_text(text)
    for words, told in ((["site.yaml"], "read from"), (["site.yaml", "--out", "site.yaml"], "read from"),
                        (["inference.output_prefix=site", "contigmap.contigs=[45]"], "here already")):  # fmt: skip
        code, _, error = command("import", *words)
        assert (code, told in " ".join(error)) == (2, True)
        assert (tmp_path / "site.yaml").read_text() == text
    for length in (45, 50):  # a file that is named is replaced
        assert command("import", f"contigmap.contigs=[{length}]", "--out", "x.yaml")[0] == 0
    assert str(read_design(tmp_path / "x.yaml").contigs) == "50"


def test_structures_beside_the_json_are_found(motif, command, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "motif.pdb").rename(tmp_path / "in/motif.pdb")
    (tmp_path / "in/r.json").write_text(json.dumps({"input": "motif.pdb", "contig": "5,A163-170,5"}))
    assert command("import", "in/r.json", "--out", "x.yaml")[0] == 0
    assert command("design", "x.yaml", "--dry-run")[0] == 0


def test_json_of_several_designs_becomes_a_folder(command, tmp_path):
    (tmp_path / "in.json").write_text(json.dumps({"a": {"length": 50}, "b": {"length": 40, "symmetry": {"id": "C2"}}}))
    code, _, _ = command("import", "in.json", "--out", "made", "--quiet")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["a.yaml", "b.yaml"]
    assert read_design(tmp_path / "made/b.yaml").symmetry.group == "C2"
    (tmp_path / "in.json").write_text(json.dumps({"p53": {"length": 50}, "P53": {"length": 40}}))
    code, _, errors = command("import", "in.json", "--out", "other")
    assert code == 2
    assert errors[0].startswith("error: in.json: name: p53 differs in upper and lower case only")
    assert not (tmp_path / "other").exists()


def test_the_dialect_of_rfdiffusion3_is_not_taken_for_alphafolds(motif, command, tmp_path):
    design = {"dialect": 2, "input": "motif.pdb", "contig": "5,A163-170,5"}
    (tmp_path / "rfd3.json").write_text(json.dumps({"one": design}))
    code, _, _ = command("import", "rfd3.json", "--out", "one.yaml")
    assert code == 0
    assert str(read_design(tmp_path / "one.yaml").contigs) == "5/A163-170/5"
    code, _, errors = command("design", "rfd3.json")
    assert (code, "this is an input of RFdiffusion3, which structdiff import makes a design of" in errors[0]) == (
        2,
        True,
    )


def test_what_cannot_be_done_does_not_keep_the_other_designs_of_a_file(command, tmp_path):
    asked = {"a": {"length": 50}, "b": {"length": 40, "ori_token": [0, 0, 1]}, "c": {"length": "40-50-60"}, "d": 3}
    (tmp_path / "in.json").write_text(json.dumps(asked))
    code, output, errors = command("import", "in.json", "--out", "made")
    assert code == 2
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a.yaml"]
    assert "1 of 4 designs written" in output
    assert [line.split(": ")[:3] for line in errors] == [["error", "in.json", name] for name in "bcd"]
    (tmp_path / "in.json").write_text(json.dumps({"b": asked["b"]}))
    code, output, errors = command("import", "in.json", "--out", "x.yaml")
    assert (code, output, len(errors)) == (2, "", 1)
    assert not (tmp_path / "x.yaml").exists()


def test_a_specification_of_boltzgen_becomes_a_design_that_means_the_same(motif, command, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "motif.pdb").rename(tmp_path / "in/motif.pdb")
    (tmp_path / "in/spec.yaml").write_text(
        "entities:\n  - protein: {id: G, sequence: 30..35}\n"
        "  - file: {path: motif.pdb, binding_types: [{chain: {id: A, binding: 15}}]}\n"
    )
    code, output, _ = command("import", "in/spec.yaml", "--out", "made/x.yaml")
    assert code == 0
    assert "structdiff design made/x.yaml --weights boltzgen" in output
    spec = read_design(tmp_path / "made/x.yaml")
    assert (str(spec.contigs), str(spec.hotspots[0])) == ("30-35 A", "A164")
    code, output, _ = command("design", "made/x.yaml", "--dry-run")
    assert code == 0
    assert "150-194 = A150-194" in output
    for verb in ("design", "predict"):
        code, _, errors = command(verb, "in/spec.yaml")
        assert code == 2
        assert "an input of BoltzGen, which structdiff import makes a design of" in errors[0]


def test_motifs_of_several_parts_are_written_beside_their_design(motif, command, tmp_path):
    (tmp_path / "b.yaml").write_text(
        "entities:\n  - ligand: {id: L, smiles: CC(=O)Oc1ccccc1C(=O)O, binding_types: B}\n"
        "  - protein: {id: A, sequence: 60..70}\n"
    )
    (tmp_path / "s.yaml").write_text(
        "entities:\n  - file: {path: motif.pdb, fuse: null}\n  - file:\n      path: [one.yaml, two.yaml]\n"
    )
    (tmp_path / "other.pdb").write_bytes((tmp_path / "motif.pdb").read_bytes())
    for name, place in (("one", 10), ("two", 20)):
        (tmp_path / f"{name}.yaml").write_text(
            f"path: other.pdb\ndesign: [{{chain: {{id: A, res_index: {place}}}}}]\n"
            f"structure_groups: [{{group: {{id: A, visibility: 2}}}}, "
            f"{{group: {{id: A, visibility: 0, res_index: {place}}}}}]\n"
        )
    assert command("import", "b.yaml", "--out", "made")[0] == 0
    assert command("import", "s.yaml", "--out", "made")[0] == 0
    written = ["b.yaml", "b_motif.cif", "s_one.yaml", "s_one_motif.cif", "s_two.yaml", "s_two_motif.cif"]
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == written
    for name, seen in (("b", "1 = L1"), ("s_one", "1-9 = B150-158@2 · 10 new"), ("s_two", "20 new")):
        code, output, _ = command("design", f"made/{name}.yaml", "--dry-run")
        assert code == 0
        assert seen in output
    code, _, errors = command("import", "b.yaml", "--out", "made")
    assert (code, "here already" in errors[0]) == (2, True)
    assert command("import", "b.yaml", "--out", "made/b.yaml")[0] == 0


def test_files_that_are_not_rfdiffusions_are_told_as_what_they_are(command, tmp_path):
    files = {
        "boltz.yaml": ("version: 1\nsequences: []\n", "structdiff predict reads"),
        "chai.fasta": (">protein|A\nMK\n", "structdiff predict reads"),
        "af3.json": (json.dumps([{"name": "x", "sequences": []}]), "structdiff predict reads"),
        "bindcraft.json": (json.dumps({"design_path": "x", "starting_pdb": "y"}), "an input of BindCraft"),
    }
    for name, (text, said) in files.items():
        (tmp_path / name).write_text(text)
        code, _, errors = command("import", name)
        assert (code, len(errors)) == (2, 1)
        assert said in errors[0]
    (tmp_path / "symmetry.yaml").write_text("defaults: [base]\ncontigmap:\n  contigs: ['50']\n")  # Hydra's
    assert "All-Atom" not in " ".join(command("import", "symmetry.yaml")[2])


def test_damaged_files_are_told_with_their_line(command, tmp_path):
    chain = "  - protein: {id: B, sequence: 20..30}\n"
    files = {
        "twice.yaml": (f"entities:\n{chain}entities:\n{chain}", "twice.yaml:3: the key stands here twice"),
        "tab.yaml": (f"entities:\n\t{chain.strip()}\n", "tab.yaml:2: this is not YAML"),
        "broken.json": ('{"a": {"dialect": 2,}}', "broken.json:1: this is not JSON"),
    }
    for name, (text, said) in files.items():
        (tmp_path / name).write_text(text)
        code, _, errors = command("import", name)
        assert (code, len(errors)) == (2, 1)
        assert said in errors[0]


def test_the_command_that_is_printed_can_be_pasted_into_a_shell(command):
    code, output, _ = command("import", "contigmap.contigs=[40]", "--out", "my designs/é 1.yaml")
    assert code == 0
    assert shlex.split(output.rpartition(": ")[2]) == ["structdiff", "design", "my designs/é 1.yaml"]


def test_a_file_where_the_folder_should_be_is_told(command, tmp_path):
    (tmp_path / "taken").write_text("")
    code, _, error = command("import", "contigmap.contigs=[40]", "--out", "taken/x.yaml")
    assert (code, error) == (2, ["error: taken: cannot be used: File exists"])


def test_files_are_imported_one_by_one(command, tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("entities: [{protein: {id: A, sequence: 12}}]\n")
    code, _, errors = command("import", "a.yaml", "b.yaml")
    assert code == 2
    assert len(errors) == 1
    assert errors[0].startswith("error: source: a file is imported by itself")
    assert not list(tmp_path.glob("[!ab]*.yaml"))
