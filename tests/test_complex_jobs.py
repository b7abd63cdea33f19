"""Jobs of predictions: what is done for networks that do not know it by themselves."""

import numpy as np
import pytest

from structdiff.complex_jobs import complex_job
from structdiff.constraints.chain_poses import ChainPoses
from structdiff.constraints.fold_hold import FoldHold
from structdiff.errors import InputError
from structdiff.model.abilities import Abilities, check_designs
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.template import TemplateSpec

KNOWS = Abilities(alignments=True, poses=True, designs=False)


def chain(name, kind, sequence):
    return ChainSpec(ids=(name,), kind=kind, sequence=sequence)


def kinds(job):
    return [type(each) for each in job.clearance]


def test_chains_are_moved_for_a_network_that_knows_poses_where_contacts_are_asked_alone():
    chains = (chain("A", "protein", "MKTAYIAK"), chain("B", "protein", "GSHMLEDP"))
    contact = ContactSpec(token1=Site(chain="A", residue=2), token2=Site(chain="B", residue=3), max_distance=8.0)
    assert ChainPoses in kinds(complex_job(ComplexSpec(chains=chains)))
    assert ChainPoses not in kinds(complex_job(ComplexSpec(chains=chains), abilities=KNOWS))
    assert ChainPoses in kinds(complex_job(ComplexSpec(chains=chains, constraints=(contact,)), abilities=KNOWS))


def test_predicted_base_pairs_are_left_to_a_network_that_knows_poses():
    spec = ComplexSpec(chains=(chain("A", "dna", "GGGCAAAAGCCC"),))
    laid = complex_job(spec)
    assert len(laid.base_pairs.predicted) == 4
    assert (laid.templates.group > 0).any()
    known = complex_job(spec, abilities=KNOWS)
    assert not len(known.base_pairs.every)
    assert not (known.templates.group > 0).any()


def test_templates_are_told_and_not_laid_out_for_a_network_that_knows_poses():
    template = TemplateSpec(path="examples/5tpn_site_v.pdb", chains=("A",))
    spec = ComplexSpec(
        chains=(chain("A", "protein", "SGVAVSKVLHLEGEVNKIKSALLSTNKAVVSLSNGVSVLTSKVLD"),), templates=(template,)
    )
    assert FoldHold in kinds(complex_job(spec))
    known = complex_job(spec, abilities=KNOWS)
    assert FoldHold not in kinds(known)
    assert known.features.condition.motif_mask.any()


def test_a_network_that_reads_alignments_gets_them_and_no_folds(tmp_path):
    sequence = "MKTAYIAKQRQISFVK"
    alignment = tmp_path / "a.a3m"
    alignment.write_text(f">query\n{sequence}\n>one\nMKSAYIAaKQ-QISFVR\n")
    spec = ComplexSpec(chains=(ChainSpec(ids=("A",), kind="protein", sequence=sequence, msa=(str(alignment),)),))
    job = complex_job(spec, abilities=KNOWS)
    assert not job.folds
    assert job.features.msa.restype.shape == (2, len(sequence))
    assert job.features.msa.has_deletion[1].tolist() == [0.0] * 7 + [1.0] + [0.0] * 8


def test_a_pocket_tells_which_side_binds():
    pocket = PocketSpec(binder="L", contacts=(Site(chain="A", residue=2), Site(chain="A", residue=4)), max_distance=6.0)
    chains = (chain("A", "protein", "MKTAYIAK"), ChainSpec(ids=("L",), kind="ligand", ccd=("GOL",)))
    bound = complex_job(ComplexSpec(chains=chains, constraints=(pocket,))).features.pair.pocket_bound.numpy()
    wanted = np.zeros((14, 14), np.float32)
    wanted[np.ix_([1, 3], range(8, 14))] = 6.0
    assert (bound == wanted).all()


def test_weights_that_design_nothing_are_refused():
    check_designs(Abilities(), "mini")
    with pytest.raises(InputError, match="and design none"):
        check_designs(KNOWS, "boltz2")
