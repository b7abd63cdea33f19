from dataclasses import replace

import pytest
import torch

from structdiff.errors import InputError
from structdiff.model.network import StructureNetwork, grown, take_over, tiny
from structdiff.model.relative_position import chain_neighbours
from structdiff.model.sequence_encoder import SequenceConfig
from structdiff.structure.build import ChainSequence
from structdiff.structure.tables import ChainKind
from tests.features.examples import mixed, placed, protein
from tests.model.test_denoiser import batch_of


def neighbours(batch, *offsets):
    index, exists = chain_neighbours(batch.token, offsets)
    return [[int(i) if there else None for i, there in zip(*row, strict=True)]
            for row in zip(index[0], exists[0], strict=True)]  # fmt: skip


def test_neighbours_are_whole_residues_of_the_same_chain():
    batch = batch_of(mixed())
    found = neighbours(batch, -1, 0, 2)
    count = batch.num_tokens
    kinds, standard = batch.token.kind[0], batch.token.standard[0]
    # GLY ALA (MSE, a token an atom) TRP SER, then three nucleotides, then ligand and ion.
    assert found[0] == [None, 0, None]
    assert found[1] == [0, 1, int((kinds == ChainKind.PROTEIN).sum()) - 2]
    dna = int(torch.nonzero(kinds == ChainKind.DNA)[0])
    assert found[dna] == [None, dna, dna + 2]
    assert all(found[i] == [None, None, None] for i in range(count) if not standard[i])


def test_neighbours_of_a_ring_go_round_it():
    ring = batch_of(placed([protein(*("ALA",) * 6, cyclic=True), protein("GLY", "GLY", name="B")]))
    assert neighbours(ring, -2, 1)[:6] == [[4, 1], [5, 2], [0, 3], [1, 4], [2, 5], [3, 0]]
    assert neighbours(ring, -2, 1)[6:] == [[None, 7], [None, None]]


def read(network, *chains):
    with torch.no_grad():
        return network.trunk.read_sequences(batch_of(placed(list(chains))))


def test_a_token_hears_of_its_window_and_of_no_other_chain(network):
    residues = ["ALA", "GLY", "LEU", "SER", "TRP", "ASP"]
    other = ChainSequence(name="B", kind=ChainKind.PROTEIN, residues=("VAL", "VAL"))
    _, first = read(network, protein(*residues), other)
    residues[4] = "LYS"
    _, second = read(network, protein(*residues), other)
    changed = (first - second).abs().amax(-1)[0] > 1e-9
    assert changed.tolist() == [False, False, False, True, True, True, False, False]  # a window of three, one layer


def test_a_window_has_a_middle():
    with pytest.raises(InputError, match=r"sequence.window.*found 8"):
        SequenceConfig(window=8)


def test_a_network_grows_an_encoder_and_nothing_else_changes():
    old = tiny()
    without = StructureNetwork(replace(old, trunk=replace(old.trunk, sequence=None)))
    torch.manual_seed(5)
    sizes = grown(without.config, old)
    assert sizes == old
    assert grown(sizes, without.config) == sizes
    network = StructureNetwork(sizes)
    take_over(network, without)
    batch = batch_of(mixed()).map(lambda x: x.float() if x.is_floating_point() else x)
    with torch.no_grad():
        before, after = without.trunk(batch), network.trunk(batch)
    assert before.s_sequence is None
    assert after.s_sequence.abs().sum() > 0
    assert torch.equal(before.s_inputs, after.s_inputs)
    assert torch.equal(before.z_trunk, after.z_trunk)
