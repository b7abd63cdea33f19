"""Arguments of another kind than asked are told by one line that names them, not by an error from deep inside."""

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import structdiff
import structdiff.spec
from structdiff.arguments import check_whole_number
from structdiff.errors import InputError
from structdiff.spec import ChainSpec, ComplexSpec, Site, TemplateSpec

FASTA = "examples/metj.fasta"
MOTIF = "examples/5tpn_site_v.pdb"
PROTEIN = ChainSpec(ids="A", kind="protein", sequence="MKV")
SPEC = structdiff.DesignSpec(contigs="12")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: structdiff.predict(3), "complex_: this cannot be .found 3; allowed: ComplexSpec, or a path"),
        (lambda: structdiff.predict(SPEC), "complex_: .*found 'DesignSpec'"),
        (lambda: structdiff.predict(FASTA, samples="2"), "samples: must be a whole number .found '2'"),
        (lambda: structdiff.predict(FASTA, samples=0), "samples: .*found 0; allowed: 1 or more"),
        (
            lambda: structdiff.predict(FASTA, places=[7]),
            "places: there are not so many .found 7; allowed: 0 to 0",
        ),
        (lambda: structdiff.predict(FASTA, options={"device": "cpu"}), "options: .*found 'dict'.*RunOptions"),
        (lambda: structdiff.predict(FASTA, engine="mini"), "engine: .*found 'mini'.*load_engine"),
        (lambda: structdiff.predict(FASTA, on_job=3), "on_job: this cannot be called .found 3; allowed: a function"),
        (lambda: structdiff.predict(FASTA, on_progress="x"), "on_progress: .*found 'x'"),
        (lambda: structdiff.design(SPEC, on_progress=3), "on_progress: .*found 3"),
        (lambda: structdiff.design(SPEC, numbers=3), "numbers: .*found 3; allowed: whole numbers in a list"),
        (lambda: structdiff.design(SPEC, numbers=[-1]), "numbers: must be a whole number .found -1"),
        (lambda: structdiff.design(SPEC, options=3), "options: .*found 3"),
        (lambda: structdiff.score([FASTA]), "structure: .*found 'list'.*a Structure .*or a path"),
        (lambda: structdiff.read_structure(None), "path: .*found 'NoneType'.*the path of a structure file"),
        (lambda: structdiff.write_structure(3, "x.pdb"), "structure: .*found 3; allowed: a Structure"),
        (lambda: structdiff.read_complex(3), "path: .*FASTA, YAML, JSON or A3M"),
        (lambda: structdiff.read_design(3), "path: .*YAML or JSON"),
        (lambda: structdiff.parse_contigs(30), "contigs: .*found 30; allowed: a text"),
        (lambda: structdiff.predict(FASTA, seed="x"), "seed: a seed is a whole number .found 'x'"),
        (lambda: structdiff.RunOptions(guidance={"motf": 2.0}), "guidance: unknown condition .*did you mean 'motif'"),
        (lambda: structdiff.RunOptions(guidance={"motif": "2"}), "guidance.motif: must be a finite number .found '2'"),
        (lambda: structdiff.RunOptions(guidance="motif=2"), "guidance: must be a finite number"),
        (lambda: ChainSpec(ids=(1,), kind="protein", sequence="MKV"), "ids: .*found 1; allowed: str"),
        (lambda: ChainSpec(ids="A", kind="protein", sequence="MKV", cyclic="no"), "cyclic: .*found 'no'"),
        (lambda: Site(chain="A", residue="3"), "residue: .*found '3'; allowed: int"),
        (lambda: ComplexSpec(chains="MKV"), "chains: .*found 'MKV'; allowed: ChainSpec"),
        (lambda: ComplexSpec(chains=PROTEIN, constraints=["A/1"]), "constraints: .*ContactSpec or PocketSpec"),
        (lambda: structdiff.RunOptions(sampling=20), "sampling: .*found 20; allowed: a SamplingConfig"),
    ],
)
def test_arguments_of_another_kind(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: structdiff.predict("missing.fasta"), "missing.fasta"),
        (lambda: structdiff.design(motif="missing.pdb", contigs="5/A163-170/5"), "missing.pdb"),
        (lambda: structdiff.design(motif=MOTIF, contigs="5/Q163-170/5"), "Q163"),
        (lambda: structdiff.design(motif=MOTIF, contigs="5/A163-170/5", length=90), "length"),
        (lambda: structdiff.design(length=12, lenght=12), "lenght: .*did you mean 'length'"),
        (lambda: structdiff.design(length=12, opitons=None), "opitons: .*did you mean 'options'"),
        (lambda: structdiff.design(SPEC, seeed=None), "seeed: .*did you mean 'seed'"),
        (lambda: structdiff.design(SPEC, options=structdiff.RunOptions(weights="mimi")), "weights: .*'mini'"),
    ],
)
def test_what_cannot_be_made_is_refused_at_the_call(call, message):
    """Not when the first structure is asked for, which may be never."""
    with pytest.raises(InputError, match=message):
        call()


def test_structures_are_drawn_when_they_are_asked_for():
    options = structdiff.RunOptions(sampling=structdiff.SamplingConfig(steps=4), relax=False, batch_size=1)
    steps = []
    made = structdiff.design(SPEC, num_designs=2, options=options, on_progress=steps.append)
    assert not steps
    next(made)
    assert {step.finished for step in steps} == {0}


def _public():
    """What a person calls by its name, with keywords of its own."""
    made_here = {"Design", "Evaluation", "Prediction", "Progress", "Results", "Structure", "InputError",
                 "ResourceError", "StructdiffError"}  # fmt: skip
    of_keys = {"Problem", "design", "layouts"}
    yield from (getattr(structdiff, name) for name in set(structdiff.__all__) - made_here - of_keys - {"__version__"})
    for name in ("BasePairsSpec", "BondSpec", "ChainSpec", "ContactSpec", "Modification", "PocketSpec", "Site",
                 "TemplateSpec", "read_complexes"):  # fmt: skip
        yield getattr(structdiff.spec, name)


@pytest.mark.parametrize("called", sorted(_public(), key=lambda each: each.__name__))
def test_misspelt_keywords_are_told_with_the_nearest_name(called):
    name = next(iter(inspect.signature(called).parameters))
    with pytest.raises(InputError, match=f"{called.__name__}: unknown argument .*did you mean '{name}'"):
        called(**{f"{name}x": None})


def test_what_a_design_keeps_for_itself_is_not_told_as_allowed():
    with pytest.raises(InputError) as caught:
        structdiff.DesignSpec(contig="12")
    assert "did you mean 'contigs'" in str(caught.value)
    assert "unindexed_gaps" not in str(caught.value)


def test_one_text_is_one_name_and_not_its_letters():
    """Chain AB was two chains A and B, and ATP the three components A, T and P."""
    assert ChainSpec(ids="AB", kind="protein", sequence="MKV").ids == ("AB",)
    assert ChainSpec(ids=["L"], kind="ligand", ccd="ATP") == ChainSpec(ids=("L",), kind="ligand", ccd=("ATP",))
    assert ChainSpec(ids="L", kind="ligand", sdf=Path("x.sdf")).sdf == "x.sdf"
    assert TemplateSpec(path="x.cif", chains="AB").chains == ("AB",)
    assert ComplexSpec(chains=PROTEIN, seeds=[np.int64(3)]).seeds == (3,)


def test_whole_numbers_of_numpy_are_whole_numbers():
    check_whole_number(np.int64(3), "samples", 1)
    with pytest.raises(InputError, match="found True"):
        check_whole_number(True, "samples", 1)


def test_arguments_of_inverse_folding():
    """In a process of its own: here the types of tensor code are checked before it runs."""
    script = """
from structdiff.inverse_folding import SequenceConfig, design_sequences
for call in (lambda: design_sequences("x.pdb"), lambda: SequenceConfig(temperature="hot"),
             lambda: SequenceConfig(num_sequences=1.5), lambda: SequenceConfig(temprature=1),
             lambda: design_sequences(None, modle="proteinmpnn")):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    structure, temperature, number, misspelt, model = run.stdout.splitlines()
    assert structure.startswith(
        "InputError structure: this cannot be (found 'x.pdb'; allowed: a Structure: read_structure"
    )
    assert temperature.startswith("InputError temperature: this cannot be (found 'hot'")
    assert number.startswith("InputError num_sequences: must be a whole number (found 1.5")
    assert misspelt.startswith("InputError SequenceConfig: unknown argument")
    assert "'temperature'" in misspelt
    assert model.startswith("InputError design_sequences: unknown argument")
    assert "did you mean 'model'" in model


def test_guidance_of_what_is_not_asked_is_refused_at_the_call():
    options = structdiff.RunOptions(guidance={"motif": 2.0})
    with pytest.raises(InputError, match="guidance: nothing asks for this condition"):
        structdiff.design(length=30, options=options)
    with pytest.raises(InputError, match="guidance: nothing asks for this condition"):
        structdiff.predict(
            ComplexSpec(chains=(ChainSpec(ids=("A",), kind="protein", sequence="MKTAY"),)), options=options
        )
