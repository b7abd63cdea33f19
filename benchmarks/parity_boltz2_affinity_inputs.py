"""Compares what Boltz-2's affinity network sees of a complex, and says of it, with the boltz package's own.

    pip install --no-deps boltz==2.2.1 numba llvmlite einx mashumaro torchmetrics chembl_structure_pipeline \\
        scikit-learn joblib pandas
    python benchmarks/parity_boltz2_affinity_inputs.py [--write]

For complexes in Boltz's YAML with made-up positions (``tests/parity/boltz2_affinity_cases.py``): whether both crop them
alike, what differs in what is read of the crop, and what Boltz2.forward and our network of the same random parameters
say of the best of some given structures, which stand for those that they would draw. Boltz's molecules and alignments
are as in ``parity_boltz2_inputs.py``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from boltz.data import const
from boltz.data.crop.affinity import AffinityCropper
from boltz.data.feature.featurizerv2 import Boltz2Featurizer
from boltz.data.module.inferencev2 import collate
from boltz.data.mol import load_canonicals, load_molecules
from boltz.data.parse.a3m import parse_a3m
from boltz.data.parse.schema import parse_boltz_schema
from boltz.data.tokenize.boltz2 import Boltz2Tokenizer
from boltz.data.types import Input
from boltz.model.models.boltz2 import Boltz2
from rdkit import Chem
from torch.nn.functional import one_hot

from structdiff.jobs import Job
from structdiff.model.boltz.affinity_inputs import of_query_alone
from structdiff.model.boltz.network import BoltzNetwork
from structdiff.structure.tables import Structure

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from boltz_molecules import write_molecules  # noqa: E402
from boltz_parity import differences  # noqa: E402
from parity_boltz2 import networks  # noqa: E402
from parity_boltz2_inputs import (  # noqa: E402
    NAMES,
    ONE_HOT,
    boltz_keys,
    codes_of,
    mend_alignments,
)

from tests.parity.boltz2_affinity_cases import (  # noqa: E402
    COMPLEXES,
    Seen,
    affinity_hyper_parameters,
    affinity_job,
    complex_file,
    drawn_samples,
    own_ensemble,
    seen_of,
)
from tests.parity.boltz_input_cases import EQUALITY, EXACT, compared, taken  # noqa: E402

Keys = list[tuple[str, int, str]]


def atom_keys(structure: Structure) -> Keys:
    """Chain, residue of it (from 0) and name of each atom; selenium as the sulphur that Boltz takes it for."""
    first = np.array([structure.chain_residues(row).start for row in range(len(structure.chains))])
    residue, chain = structure.atoms.residue, structure.atom_chain
    names = ["SD" if name == "SE" else str(name) for name in structure.atoms.name]
    return list(zip(structure.chains.name[chain].tolist(), (residue - first[chain]).tolist(), names, strict=True))


def boltz_input(path: Path, molecules: Path) -> tuple[Input, dict[str, str]]:
    """A complex as Boltz's parser makes it of a file, and its SMILES strings by chain."""
    schema = yaml.safe_load(path.read_text())
    write_molecules(codes_of(schema) | set(const.tokens[2:]) | {"HOH", "UNK"}, molecules)
    target = parse_boltz_schema(path.stem, schema, {}, molecules, boltz_2=True)
    msas = {each.chain_id: parse_a3m(Path(each.msa_id), None) for each in target.record.chains
            if each.msa_id not in (0, -1)}  # fmt: skip
    smiles = {str(body["id"]): body["smiles"] for entity in schema["sequences"] for body in entity.values()
              if "smiles" in body}  # fmt: skip
    data = Input(target.structure, msas, target.record, target.residue_constraints, None, target.extra_mols)
    return data, smiles


def of_boltz(path: Path, structure: Structure, molecules: Path) -> tuple[dict[str, Any], Keys, Keys]:
    """Boltz's features of what it sees of a complex at the positions of a structure, and keys of tokens and atoms."""
    data, smiles = boltz_input(path, molecules)
    place = dict(zip(atom_keys(structure), structure.atoms.positions, strict=True))
    where = np.array([place[key] for key in boltz_keys(Boltz2Tokenizer().tokenize(data), smiles)[1]])
    data.structure.coords["coords"] = data.structure.atoms["coords"] = where
    data.structure.atoms["is_present"] = data.structure.residues["is_present"] = True
    cropped = AffinityCropper().crop(Boltz2Tokenizer().tokenize(data), max_tokens=256, max_atoms=2048)
    known = {**load_canonicals(molecules), **data.extra_mols}
    known.update(load_molecules(molecules, set(cropped.tokens["res_name"].tolist()) - set(known)))
    options = data.record.inference_options
    features = Boltz2Featurizer().process(
        cropped, molecules=known, random=np.random.default_rng(42), training=False, max_seqs=const.max_msa_seqs,
        compute_frames=True, inference_pocket_constraints=options.pocket_constraints,
        inference_contact_constraints=options.contact_constraints, compute_constraint_features=True,
        override_method="other", compute_affinity=True,
    )  # fmt: skip
    return features, *boltz_keys(cropped, smiles)


def our_keys(job: Job, seen: Seen) -> tuple[Keys, Keys]:
    """The same keys of what is seen of a job: of its tokens that are Boltz's too, and of its atoms."""
    keys, there = atom_keys(job.structure), seen.inputs.token_mask[0].numpy()
    rows = np.flatnonzero(seen.tokens)[there]
    ligand = seen.inputs.molecule_type[0].numpy()[there] == 3
    of_token = [(*keys[row][:2], keys[row][2] if own else "")
                for row, own in zip(job.tokens.atoms[rows, 0], ligand, strict=True)]  # fmt: skip
    return of_token, [keys[row] for row in seen.atoms[seen.inputs.atom_mask[0].numpy()]]


def read_differences(seen: Seen, theirs: dict[str, Any]) -> list[str]:
    """What differs in what both read of the same tokens and atoms, in the same order."""
    inputs, alone = seen.inputs, of_query_alone(seen.inputs)
    token, atom = torch.nonzero(inputs.token_mask[0])[:, 0], torch.nonzero(inputs.atom_mask[0])[:, 0]
    theirs = theirs | {
        "representative": theirs["token_to_rep_atom"].argmax(-1), "token_bonds": theirs["token_bonds"][..., 0],
        "atom_token": token[theirs["atom_to_token"].argmax(-1)],
    }  # fmt: skip
    pairs = [(name, vars(inputs)[name][0], theirs[NAMES.get(name, name)]) for name in (*EXACT, *EQUALITY)
             if not name.startswith("template") or name == "template_mask"]  # fmt: skip
    pairs += [(name, vars(alone)[name][0], theirs[f"{name}_affinity"]) for name in ("profile", "deletion_mean")]
    found: list[str] = []
    for name, mine, its in pairs:
        its = its.argmax(-1) if name in ONE_HOT else its
        mine, its = taken(name, mine, token, atom), taken(name, its, torch.arange(len(token)), torch.arange(len(atom)))
        found += differences(name, compared(name, mine), compared(name, its))
    return [*found, *_ligand_differences(seen, theirs, token)]


def _ligand_differences(seen: Seen, theirs: dict[str, Any], token: torch.Tensor) -> list[str]:
    return differences("binder", seen.binder[0, token].float(), theirs["affinity_token_mask"])


def boltz_ensemble(
    network: Boltz2, features: dict[str, Any], keys: Keys, structure: Structure, seen: Seen
) -> dict[str, torch.Tensor]:
    """What Boltz2.forward says, with given structures in place of those that it would draw.

    Conformers and names of atoms are ours: Boltz turns the former at random, and has others of SMILES.
    """
    features = features | {
        "ref_pos": seen.inputs.reference_positions[0],
        "ref_atom_name_chars": one_hot(seen.inputs.reference_name[0], 64).to(features["ref_atom_name_chars"]),
    }  # fmt: skip
    rows = [atom_keys(structure).index(key) for key in keys]
    drawn = torch.zeros(3, features["atom_pad_mask"].shape[0], 3)
    drawn[:, : len(rows)] = torch.from_numpy(drawn_samples(structure)[:, rows])
    network.structure_module.sample = lambda **_: {"sample_atom_coords": drawn}
    with torch.inference_mode():
        said = network(collate([features]), recycling_steps=1, diffusion_samples=3, run_confidence_sequentially=True)
    found = {"iptm": said["iptm"]}
    for number in ("", "1", "2"):
        found |= {f"value{number}": said[f"affinity_pred_value{number}"][0],
                  f"probability{number}": said[f"affinity_probability_binary{number}"][0]}  # fmt: skip
    return found


def compare(name: str, molecules: Path, both: tuple[Boltz2, BoltzNetwork]) -> dict[str, np.ndarray]:
    """Prints what differs of one complex; which tokens Boltz sees, and what it says of them."""
    path = complex_file(name, Path())
    job = affinity_job(path)
    theirs, their_tokens, their_atoms = of_boltz(path, job.structure, molecules)
    seen = seen_of(job)
    tokens, atoms = our_keys(job, seen)
    print(f"{name}: {len(tokens)} of {len(job.tokens)} tokens seen, {len(their_tokens)} by Boltz; "
          f"the same tokens {tokens == their_tokens}, the same atoms {atoms == their_atoms}")  # fmt: skip
    if tokens == their_tokens and atoms == their_atoms:
        for line in read_differences(seen, theirs) or ["all that is read is the same"]:
            print(f"  {line}")
    wanted, found = (boltz_ensemble(both[0], theirs, their_atoms, job.structure, seen), own_ensemble(both[1], job))
    for key, value in wanted.items():
        if key in found:
            off = float((value - found[key]).abs().max())
            print(f"  {key:14} {value.numpy().round(4).tolist()}, off by {off:.2g}")
    return {"seen": seen.tokens, **{key: value.numpy() for key, value in wanted.items()}}


def main() -> None:
    """Runs the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/affinity_inputs.npz")
    asked = parser.parse_args()
    mend_alignments()
    Chem.SetDefaultPickleProperties(Chem.PropertyPickleOptions.AllProps)
    warnings.simplefilter("ignore")
    # Boltz's default; `boltz predict` leaves the correction for the molecular weight out unless it is asked for.
    both = networks(affinity_hyper_parameters() | {"affinity_mw_correction": False})
    golden: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        molecules = Path("mols")
        molecules.mkdir()
        for name in COMPLEXES:
            golden |= {f"{name}.{key}": value for key, value in compare(name, molecules, both).items()}
    if asked.write:
        np.savez_compressed(ROOT / "tests" / "golden" / "boltz" / "affinity_inputs.npz", **golden)


if __name__ == "__main__":
    main()
