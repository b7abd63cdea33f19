"""RFdiffusion's settings become designs, or errors that say what cannot be done."""

from __future__ import annotations

import re

import numpy as np
import pytest

from structdiff.errors import InputError
from structdiff.spec.design import design_from_dict
from structdiff.spec.imported import KnownStructure
from structdiff.spec.rfdiffusion import design_from_rfdiffusion
from structdiff.spec.rfdiffusion_command import list_items, parse_command, parse_overrides
from structdiff.spec.rfdiffusion_partial import partial_noise
from structdiff.spec.segments import FixedSegment, ResidueId

#: The motifs on which motif scaffolding is compared since Watson et al. 2023 (Supplementary Methods, Table 9): contigs
#: as RFdiffusion takes them, and total length. Without 6VW1, of which the receptor belongs to the problem, they are 24.
BENCHMARK = {
    "1PRW": ("5-20/A16-35/10-25/A52-71/5-20", "60-105"),
    "1BCF": ("8-15/A92-99/16-30/A123-130/16-30/A47-54/16-30/A18-25/8-15", "96-152"),
    "5TPN": ("10-40/A163-181/10-40", "50-75"),
    "5IUS": ("0-30/A119-140/15-40/A63-82/0-30", "57-142"),
    "3IXT": ("10-40/P254-277/10-40", "50-75"),
    "5YUI": ("5-30/A93-97/5-20/A118-120/10-35/A198-200/10-30", "50-100"),
    "1QJG": ("10-20/A38/15-30/A14/15-30/A99/10-20", "53-103"),
    "1YCR": ("10-40/B19-27/10-40", "40-100"),
    "2KL8": ("A1-7/20/A28-79", "79"),
    "7MRX_60": ("0-38/B25-46/0-38", "60"),
    "7MRX_85": ("0-63/B25-46/0-63", "85"),
    "7MRX_128": ("0-122/B25-46/0-122", "128"),
    "4JHW": ("10-25/F196-212/15-30/F63-69/10-25", "60-90"),
    "4ZYP": ("10-40/A422-436/10-40", "30-50"),
    "5WN9": ("10-40/A170-189/10-40", "35-50"),
    "6VW1": ("20-30/A24-42/4-10/A64-82/0-5", "62-83"),
    "5TRV_short": ("0-35/A45-65/0-35", "56"),
    "5TRV_med": ("0-65/A45-65/0-65", "86"),
    "5TRV_long": ("0-95/A45-65/0-95", "116"),
    "6E6R_short": ("0-35/A23-35/0-35", "48"),
    "6E6R_med": ("0-65/A23-35/0-65", "78"),
    "6E6R_long": ("0-95/A23-35/0-95", "108"),
    "6EXZ_short": ("0-35/A28-42/0-35", "50"),
    "6EXZ_med": ("0-65/A28-42/0-65", "80"),
    "6EXZ_long": ("0-95/A28-42/0-95", "110"),
}


def settings(*words: str) -> dict[str, str]:
    return parse_overrides(words)


def chain(name: str, count: int, positions: np.ndarray | None = None) -> KnownStructure:
    residues = tuple(ResidueId(chain=name, number=number) for number in range(1, count + 1))
    return KnownStructure(residues=residues, positions=np.zeros((count, 3)) if positions is None else positions)


@pytest.mark.parametrize("name", BENCHMARK)
def test_all_motifs_of_the_benchmark(name):
    contigs, length = BENCHMARK[name]
    found = design_from_rfdiffusion(
        settings(f"inference.input_pdb={name}.pdb", f"contigmap.contigs=[{contigs}]", f"contigmap.length={length}")
    )
    spec = design_from_dict(found.data)
    low, high = (int(each) for each in (length.split("-") * 2)[:2])
    kept = [residue for segment in spec.contigs.fixed for residue in segment.residues]
    assert str(spec.contigs) == contigs
    for seed in range(3):
        layout = spec.resolve(kept).sample_layout(np.random.default_rng(seed))
        assert low <= len(layout) <= high
        assert [each.origin for each in layout.residues if each.origin] == kept


def test_there_are_twenty_four_and_one():
    assert len(BENCHMARK) == 25


def test_a_command_line_with_comments_quotes_and_variables():
    text = """#!/bin/bash
# ../scripts/run_inference.py inference.num_designs=3
ckpt='../models/ActiveSite_ckpt.pt'
../scripts/run_inference.py inference.output_prefix=out/design_enzyme \\
  'contigmap.contigs=[10-40/A163-181/10-40]' ppi.hotspot_res=[\\'A51\\',\\'A52\\'] +inference.num_designs=7 \\
  inference.ckpt_override_path=$ckpt inference.input_pdb=5TPN.pdb contigmap.inpaint_seq=[A163-165/A179]
"""
    found = parse_command(text)
    assert found["inference.ckpt_override_path"] == "../models/ActiveSite_ckpt.pt"
    assert list_items(found["ppi.hotspot_res"]) == ["A51", "A52"]
    data = design_from_rfdiffusion({key: value for key, value in found.items() if key != "ppi.hotspot_res"})
    assert data.data["name"] == "design_enzyme"
    assert data.data["num_designs"] == 7
    assert data.data["redesign"] == ["A163-165", "A179"]
    assert any("ckpt_override_path" in note for note in data.notes)


def test_a_binder():
    found = design_from_rfdiffusion(
        settings("inference.input_pdb=insulin.pdb", "contigmap.contigs=[A1-150/0 70-100]",
                 "ppi.hotspot_res=[A59,A83,A91]", "denoiser.noise_scale_ca=0", "denoiser.noise_scale_frame=0",
                 "potentials.guiding_potentials=['type:binder_ROG,weight:1','type:interface_ncontacts,r_0:7']",
                 "potentials.guide_decay='quadratic'")
    )  # fmt: skip
    spec = design_from_dict(found.data)
    assert [str(each) for each in spec.hotspots] == ["A59", "A83", "A91"]
    assert found.options == {"--noise-scale": "0"}
    kinds = [(each.kind, each.chains, each.schedule) for each in spec.energies]
    assert kinds == [("radius_of_gyration", ("B",), "early"), ("contacts", ("B", "A"), "early")]
    assert spec.energies[1].distance == 7


def test_symmetry_shares_the_length_out():
    words = ["--config-name=symmetry", "inference.symmetry=C6", "contigmap.contigs=[480-480]"]
    spec = design_from_dict(design_from_rfdiffusion(settings(*words)).data)
    assert (str(spec.contigs), spec.symmetry.group) == ("80", "C6")
    with pytest.raises(InputError, match="multiples of 6"):
        design_from_rfdiffusion(settings(*words[:2], "contigmap.contigs=[100]"))


def test_a_symmetric_motif_stays_at_the_axis():
    words = ["inference.symmetry=C4", "inference.input_pdb=nickel.pdb",
             "contigmap.contigs=[50/A1-3/50/0 50/A4-6/50/0 50/A7-9/50/0 50/A10-12/50]"]  # fmt: skip
    first = np.random.default_rng(0).normal(size=(3, 3)) * 5
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = np.concatenate([first @ np.linalg.matrix_power(turn, k).T for k in range(4)])
    found = design_from_rfdiffusion(settings(*words), structure=lambda: chain("A", 12, turned))
    spec = design_from_dict(found.data)
    assert str(spec.contigs) == "50/A1-3/50"
    assert spec.symmetry.motif_placed
    with pytest.raises(InputError, match="not where C4 would have it"):
        design_from_rfdiffusion(settings(*words), structure=lambda: chain("A", 12, turned + [0, 4, 0]))
    with pytest.raises(InputError, match="same stretches"):
        design_from_rfdiffusion(settings(*words[:2], "contigmap.contigs=[50/A1-3/50/0 40/A4-6/50]"))


def test_partial_diffusion():
    words = ["inference.input_pdb=x.pdb", "contigmap.contigs=[10/A11-14/6]", "diffuser.partial_T=10"]
    found = design_from_rfdiffusion(
        settings(*words, "contigmap.provide_seq=[0-2,19]"), structure=lambda: chain("A", 20)
    )
    spec = design_from_dict(found.data).resolve(chain("A", 20).residues)
    layout = spec.sample_layout(np.random.default_rng(0))
    assert [each.origin.number for each in layout.residues if each.origin] == [11, 12, 13, 14]
    assert [each.instead_of.number for each in layout.residues if each.keeps_type] == [1, 2, 3, 20]
    assert all(isinstance(segment, FixedSegment) for segment in spec.hold)
    with pytest.raises(InputError, match="20"):
        design_from_rfdiffusion(settings(*words), structure=lambda: chain("A", 21))
    with pytest.raises(InputError, match="--pdb"):
        design_from_rfdiffusion(settings(*words))


def test_noise_of_partial_diffusion_is_that_of_the_schedule():
    schedule = {"T": 50.0, "b_0": 1e-2, "b_T": 7e-2, "crd_scale": 0.25}
    # By hand: after one step 1 - alpha bar is beta_0 = 0.04, which is 0.04 / 0.96 over the square of 0.25 per Å.
    assert partial_noise(schedule, 1) == pytest.approx(np.sqrt(0.04 / 0.96) / 0.25)
    assert partial_noise(schedule, 10) == pytest.approx(3.8, abs=0.1)
    assert all(partial_noise(schedule, k) < partial_noise(schedule, k + 1) for k in range(1, 50))
    with pytest.raises(InputError, match="1 to 50"):
        partial_noise(schedule, 51)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("contigmap.inpaint_str=[B10-35]", "cannot do this"),
        ("contigmap.inpaint_str_helix=[B10-35]", "secondary_structure"),
        ("scaffoldguided.scaffoldguided=True", "fold_of"),
        ("inference.design_startnum=5", "leave it out"),
        ("inference.symetry=C3", "did you mean 'inference.symmetry'"),
        ("inference.num_designs=many", "whole number"),
        ("denoiser.ca_noise_schedule_type=linear", "does not change"),
        ("potentials.guiding_potentials=['type:magic']", "magic"),
        ("potentials.guiding_potentials=['type:monomer_ROG,mindist:5']", "did you mean 'min_dist'"),
        ("potentials.olig_custom_contact='A!B'", "which copies"),
        ("contigmap.provide_seq=[0-4]", "partial diffusion only"),
        ("inference.symmetry=C3", "multiples of 3|same stretches"),
    ],
)
def test_what_cannot_be_done_is_an_error(word, says):
    with pytest.raises(InputError, match=says):
        design_from_rfdiffusion(settings("contigmap.contigs=[100]", word))


def test_settings_of_a_whole_configuration_that_ask_nothing_are_let_pass():
    words = ["inference.symmetry=null", "diffuser.partial_T=null", "contigmap.inpaint_str=None", "model.d_pair=128",
             "scaffoldguided.scaffoldguided=False", "scaffoldguided.target_pdb=False", "inference.design_startnum=0",
             "diffuser.T=50", "denoiser.noise_scale_ca=1", "inference.cyclic=False"]  # fmt: skip
    found = design_from_rfdiffusion(settings("contigmap.contigs=[100-200]", *words))
    assert found.data == {"version": 1, "name": "design", "contigs": "100-200", "num_designs": 10}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("diffuser.T=20", "diffuser.T 20 counts RFdiffusion's steps.*--steps"),
        ("diffuser.crd_scale=0.5", "no counterpart: diffuser.crd_scale"),
        ("diffuser.schedule_type=linear", "no counterpart: diffuser.schedule_type"),
        ("--config-name=symmetry", "--config-name symmetry: .*not read"),
        ("model.d_pair=64", r"no counterpart: model\.\*"),
        ("inference.cautious=True", "no counterpart: inference.cautious"),
        ("inference.cyc_chains=a", "nothing by itself.*cyc_chains"),
        ("potentials.guide_scale=2", "nothing by itself.*guide_scale"),
        ("potentials.guiding_potentials=['type:monomer_contacts,weight:1,d_0:2']", "d_0 of monomer_contacts"),
    ],
)
def test_nothing_is_dropped_in_silence(word, says):
    found = design_from_rfdiffusion(settings("contigmap.contigs=[100]", word))
    assert re.search(says, "\n".join(found.notes))


def test_the_schedule_of_partial_diffusion_is_no_note():
    residues = tuple(ResidueId(chain="A", number=number) for number in range(1, 11))
    known = KnownStructure(residues=residues, positions=np.zeros((10, 3)))
    words = ("contigmap.contigs=[10]", "inference.input_pdb=x.pdb", "diffuser.partial_T=5", "diffuser.T=20")
    found = design_from_rfdiffusion(settings(*words), structure=lambda: known)
    assert found.data["noise"]
    assert not any("diffuser.T" in note for note in found.notes)


@pytest.mark.parametrize("asked", ["1", "a,b", "b"])
def test_cyclic_chains_that_are_none_are_an_error(asked):
    words = ("contigmap.contigs=[100]", "inference.cyclic=True", f"inference.cyc_chains='{asked}'")
    with pytest.raises(InputError, match=r"cyc_chains.*a for the first"):
        design_from_rfdiffusion(settings(*words))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("diffuser.T=many", "diffuser.T: must be a number above 0"),
        ("diffuser.crd_scale=0", "diffuser.crd_scale: must be a number above 0"),
        ("diffuser.b_T=1", "diffuser.b_T: so much noise leaves nothing"),
    ],
)
def test_schedules_that_are_none_are_an_error(word, says):
    words = ("contigmap.contigs=[10]", "inference.input_pdb=x.pdb", "diffuser.partial_T=20", word)
    with pytest.raises(InputError, match=says):
        design_from_rfdiffusion(settings(*words), structure=lambda: chain("A", 10))
