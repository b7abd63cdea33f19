"""Compares the inputs that structdiff makes for BoltzGen's network with those of BoltzGen's own parser and featuriser.

    pip install --no-deps boltzgen==0.3.2 numba llvmlite pandas pydssp && python benchmarks/parity_boltzgen_inputs.py

The same designs are written in both languages (``tests/parity/boltzgen_input_cases.py``). BoltzGen's molecules are made
of the components that structdiff knows. Every tensor that the network reads is compared, positions by the distances
that are known, conformers by their own. Prints what differs; --write rewrites tests/golden/boltz/design_inputs.npz.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from boltz_molecules import write_molecules
from boltz_parity import differences
from boltzgen.data import const
from boltzgen.data.feature.featurizer import Featurizer
from boltzgen.data.mol import load_canonicals
from boltzgen.data.tokenize.tokenizer import Tokenizer
from boltzgen.model.modules.masker import BoltzMasker
from boltzgen.task.predict.data_from_yaml import Dataset, PredictionDataset, collate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.parity.boltzgen_input_cases import (  # noqa: E402
    BY_ATOM,
    BY_PAIR,
    BY_ROW,
    BY_TOKEN,
    CASES,
    NAMES,
    distances,
    inputs_of,
    own_tensors,
    write_files,
)

THEIR_NAMES = {
    "residue_type": "res_type", "molecule_type": "mol_type", "method": "method_feature", "cyclic_period": "cyclic",
    "residue_index": "feature_residue_index", "bond_type": "type_bonds", "contact_type": "contact_conditioning",
    "reference_charge": "ref_charge", "reference_element": "ref_element", "reference_name": "ref_atom_name_chars",
    "open": "design_mask", "binding": "binding_type", "secondary_structure": "ss_type", "known": "token_distance_mask",
    "atom_token": "atom_to_token",
}  # fmt: skip
#: Larger tables are compared here, and not kept for the tests.
MOST_KEPT = 10_000
ONE_HOT = ("residue_type", "contact_type", "reference_element", "reference_name", "atom_token")


def of_boltzgen(case: str, molecules: Path) -> dict[str, torch.Tensor]:
    """BoltzGen's features of a case, masked as its network sees them, under our names."""
    entities, _, codes = CASES[case]
    write_molecules({*const.tokens[2:], "HOH", "UNK", *codes}, molecules)
    path = Path(f"{case}.yaml")
    path.write_text(f"entities:\n{entities.strip()}\n")
    data = Dataset(yaml_path=str(path), tokenizer=Tokenizer(atomize_modified_residues=False), featurizer=Featurizer())
    with contextlib.redirect_stdout(io.StringIO()):
        designs = PredictionDataset(
            data, canonicals=load_canonicals(molecules), moldir=molecules, atom14=True, disulfide_prob=1.0,
            disulfide_on=True,
        )  # fmt: skip
        features = BoltzMasker(mask=True)(collate([designs.get_sample(path)]))
    return named_as_ours(features)


def named_as_ours(features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What `own_tensors` gives."""
    atoms = int(features["atom_pad_mask"].sum())
    found = {}
    for name in (*BY_TOKEN, *BY_PAIR, *BY_ROW, *BY_ATOM):
        values = features[THEIR_NAMES.get(name, name)][0]
        values = values.float().argmax(-1) if name in ONE_HOT else values
        found[name] = values[:atoms] if name in BY_ATOM else values
    found["token_bonds"] = found["token_bonds"][..., 0]
    coordinates = features["coords"].view(-1, 3)
    frames = (features["token_to_bb4_atoms"][0].float() @ coordinates).transpose(0, 1)
    return found | distances(
        known=found["known"].bool(), centre=features["center_coords"][0], frames=frames,
        space=features["ref_space_uid"][0][:atoms], conformers=features["ref_pos"][0][:atoms],
    )  # fmt: skip


def off(name: str) -> float:
    """How far values may be off: positions are of files with few digits."""
    return 1e-3 if name.endswith("distances") else 1e-5


def main() -> None:
    """Compares all cases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/design_inputs.npz")
    arguments = parser.parse_args()
    golden: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        write_files(Path())
        molecules = Path("mols")
        molecules.mkdir()
        for case in CASES:
            its, mine = of_boltzgen(case, molecules), own_tensors(inputs_of(case))
            found = [line for each in NAMES for line in differences(each, mine[each], its[each], off(each))]
            print(f"{case}: {'' if found else 'the same'}", *found, sep="\n  ")
            small = [each for each in NAMES if its[each].numel() <= MOST_KEPT]
            golden |= {f"{case}.{each}": compact(its[each]) for each in small}
    if arguments.write:
        path = ROOT / "tests" / "golden" / "boltz" / "design_inputs.npz"
        np.savez_compressed(path, **golden)  # type: ignore[arg-type]
        print(f"wrote {path.stat().st_size} bytes")


def compact(values: torch.Tensor) -> np.ndarray:
    """The values in few bytes; distances to 1/100 Å."""
    if values.dtype == torch.float64:
        return np.round(values.numpy() * 100).astype(np.int16)
    return values.numpy().astype(np.float32 if values.is_floating_point() else np.int16)


if __name__ == "__main__":
    main()
