"""Arguments of another kind than asked are told by one line that names them, not by an error from deep inside."""

import subprocess
import sys

import numpy as np
import pytest

import structdiff
from structdiff.arguments import check_whole_number
from structdiff.errors import InputError

FASTA = "examples/metj.fasta"
SPEC = structdiff.DesignSpec(contigs="12")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: next(structdiff.predict(3)), "complex_: this cannot be .found 3; allowed: ComplexSpec, or a path"),
        (lambda: next(structdiff.predict(SPEC)), "complex_: .*found 'DesignSpec'"),
        (lambda: next(structdiff.predict(FASTA, samples="2")), "samples: must be a whole number .found '2'"),
        (lambda: next(structdiff.predict(FASTA, samples=0)), "samples: .*found 0; allowed: 1 or more"),
        (
            lambda: next(structdiff.predict(FASTA, places=[7])),
            "places: there are not so many .found 7; allowed: 0 to 0",
        ),
        (lambda: next(structdiff.predict(FASTA, options={"device": "cpu"})), "options: .*found 'dict'.*RunOptions"),
        (lambda: next(structdiff.predict(FASTA, engine="mini")), "engine: .*found 'mini'.*load_engine"),
        (lambda: next(structdiff.design(SPEC, numbers=3)), "numbers: .*found 3; allowed: whole numbers in a list"),
        (lambda: next(structdiff.design(SPEC, numbers=[-1])), "numbers: must be a whole number .found -1"),
        (lambda: next(structdiff.design(SPEC, options=3)), "options: .*found 3"),
        (lambda: structdiff.score([FASTA]), "structure: .*found 'list'.*a Structure .*or a path"),
        (lambda: structdiff.read_structure(None), "path: .*found 'NoneType'.*the path of a structure file"),
        (lambda: structdiff.write_structure(3, "x.pdb"), "structure: .*found 3; allowed: a Structure"),
        (lambda: structdiff.read_complex(3), "path: .*FASTA, YAML or JSON"),
        (lambda: structdiff.read_design(3), "path: .*YAML or JSON"),
        (lambda: structdiff.parse_contigs(30), "contigs: .*found 30; allowed: a text"),
        (lambda: structdiff.RunOptions(sampling=20), "sampling: .*found 20; allowed: SamplingConfig"),
    ],
)
def test_arguments_of_another_kind(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_whole_numbers_of_numpy_are_whole_numbers():
    check_whole_number(np.int64(3), "samples", 1)
    with pytest.raises(InputError, match="found True"):
        check_whole_number(True, "samples", 1)


def test_arguments_of_inverse_folding():
    """In a process of its own: here the types of tensor code are checked before it runs."""
    script = """
from structdiff.inverse_folding import SequenceConfig, design_sequences
for call in (lambda: design_sequences("x.pdb"), lambda: SequenceConfig(temperature="hot"),
             lambda: SequenceConfig(num_sequences=1.5)):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    structure, temperature, number = run.stdout.splitlines()
    assert structure.startswith(
        "InputError structure: this cannot be (found 'x.pdb'; allowed: a Structure: read_structure"
    )
    assert temperature.startswith("InputError temperature: this cannot be (found 'hot'")
    assert number.startswith("InputError num_sequences: must be a whole number (found 1.5")
