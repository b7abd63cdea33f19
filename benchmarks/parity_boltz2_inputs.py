"""Compares the inputs that structdiff makes for Boltz-2's network with those of Boltz's own parser and featuriser.

    pip install --no-deps boltz==2.2.1 numba llvmlite mashumaro chembl_structure_pipeline scikit-learn joblib pandas
    python benchmarks/parity_boltz2_inputs.py [CASE ...] [--write]

Both read the same YAML (``tests/parity/boltz_input_cases.py``). Boltz's molecules are made of the components that
structdiff knows, with RDKit's aromaticity, as those that come with its weights. Tokens and atoms are matched by chain,
residue and name, and every tensor is compared; conformers by their distances, since Boltz turns each at random, and
numbers that only tell what is equal (of chains, entities, residues' conformers, templates) by what is equal. Two lines
of the package are mended, as in ``parity_boltz2_msa.py``: version 2.2 loses the deletions of all alignments, which 2.1
does not, and paired rows come twice. Prints what differs, and how much.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tempfile
import warnings
from pathlib import Path

import boltz.data.feature.featurizerv2 as featurizer
import numpy as np
import torch
import yaml
from boltz.data import const
from boltz.data.mol import load_canonicals, load_molecules
from boltz.data.parse.a3m import parse_a3m
from boltz.data.parse.csv import parse_csv
from boltz.data.parse.schema import parse_boltz_schema
from boltz.data.tokenize.boltz2 import Boltz2Tokenizer
from boltz.data.types import Input
from boltz_molecules import write_molecules
from boltz_parity import differences

from structdiff.chemistry.components import ranked_smiles_atoms
from structdiff.jobs import Job
from structdiff.model.boltz.inputs import BoltzInputs
from structdiff.structure.tables import ChainKind

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "parity"))

from boltz_input_cases import CASES, EQUALITY, EXACT, compared, inputs_of, taken, write_case  # noqa: E402

# Boltz's names of what is named otherwise here.
NAMES = {
    "residue_type": "res_type", "molecule_type": "mol_type", "method": "method_feature", "bond_type": "type_bonds",
    "contact_type": "contact_conditioning", "reference_charge": "ref_charge", "reference_element": "ref_element",
    "reference_name": "ref_atom_name_chars", "backbone": "atom_backbone_feat", "template_type": "template_restype",
    "template_frame_rotation": "template_frame_rot", "template_frame_origin": "template_frame_t",
    "template_frame_mask": "template_mask_frame", "template_cb_mask": "template_mask_cb",
    "template_visibility": "visibility_ids", "reference_space": "ref_space_uid",
}  # fmt: skip
ONE_HOT = ("residue_type", "contact_type", "reference_element", "reference_name", "backbone", "template_type")
MENDED = (
    ("chain_deletions = chain_deletions[", "chain_deletions = chain_msa.deletions["),
    ("{(c, s) for c, items in taxonomy_map for s in items}", "{s for _, items in taxonomy_map for s in items}"),
)
Tensors = dict[str, torch.Tensor]


def mend_alignments() -> None:
    """Mends what Boltz 2.2 does to alignments: deletions as until version 2.1, and paired rows once and not twice."""
    source = inspect.getsource(featurizer.construct_paired_msa)
    for written, meant in MENDED:
        if written not in source:
            raise SystemExit(f"this is not the boltz that was compared: there is no {written!r}")
        source = source.replace(written, meant)
    exec(source, featurizer.__dict__)


def codes_of(schema: dict) -> set[str]:
    """The components that an input names."""
    found = set()
    for entity in schema["sequences"]:
        body = next(iter(entity.values()))
        ccd = body.get("ccd", [])
        found |= {ccd} if isinstance(ccd, str) else set(ccd)
        found |= {each["ccd"] for each in body.get("modifications", [])}
    return found


def of_boltz(path: Path, folder: Path) -> tuple[dict, list, list]:
    """Boltz's features of an input, and the keys of its tokens and atoms."""
    schema = yaml.safe_load(path.read_text())
    write_molecules(codes_of(schema) | set(const.tokens[2:]) | {"HOH", "UNK"}, folder)
    target = parse_boltz_schema(path.stem, schema, {}, folder, boltz_2=True)
    msas = {}
    for chain in target.record.chains:
        if chain.msa_id not in (0, -1):
            file = Path(chain.msa_id)
            msas[chain.chain_id] = parse_csv(file) if file.suffix == ".csv" else parse_a3m(file, None)
    data = Input(target.structure, msas, target.record, target.residue_constraints, target.templates or None,
                 target.extra_mols)  # fmt: skip
    tokens = Boltz2Tokenizer().tokenize(data)
    molecules = {**load_canonicals(folder), **target.extra_mols}
    molecules.update(load_molecules(folder, set(tokens.tokens["res_name"].tolist()) - set(molecules)))
    options = target.record.inference_options
    features = featurizer.Boltz2Featurizer().process(
        tokens, np.random.default_rng(42), molecules, False, const.max_msa_seqs, compute_frames=True,
        inference_pocket_constraints=options.pocket_constraints,
        inference_contact_constraints=options.contact_constraints,
    )  # fmt: skip
    smiles = {str(one): body["smiles"] for entity in schema["sequences"] for body in entity.values()
              if "smiles" in body for one in body["id"]}  # fmt: skip
    return features, *boltz_keys(tokens, smiles)


def boltz_keys(tokens, smiles: dict[str, str]) -> tuple[list, list]:
    """Of each token chain, residue and, in ligands, atom; of each atom all three; names of SMILES are structdiff's."""
    of_token, of_atom = [], []
    for token in tokens.tokens:
        chain = tokens.structure.chains[token["asym_id"]]
        name = str(chain["name"])
        atoms = [str(each) for each in
                 tokens.structure.atoms["name"][token["atom_idx"] : token["atom_idx"] + token["atom_num"]]]  # fmt: skip
        if name in smiles:
            atoms = [ranked_smiles_atoms(smiles[name], name)[each] for each in atoms]
        of_token.append((name, int(token["res_idx"]), atoms[0] if token["mol_type"] == 3 else ""))
        of_atom += [(name, int(token["res_idx"]), each) for each in atoms]
    return of_token, of_atom


def structdiff_keys(inputs: BoltzInputs, job: Job, slots: int) -> tuple[list, list]:
    """The same keys of structdiff's tokens that are not masked, and of its atoms."""
    structure, tokens = job.structure, job.tokens
    chain, residue = structure.chains.name[tokens.chain], structure.residues.label_seq_id[tokens.residue] - 1
    ligand = structure.chains.kind[tokens.chain] == ChainKind.LIGAND
    first = structure.atoms.name[tokens.atoms[:, 0]]
    of_token = [
        (str(chain[row]), int(residue[row]), str(first[row]) if ligand[row] else "")
        for row in np.flatnonzero(inputs.token_mask[0].numpy())
    ]
    places = inputs.atom_slot[0][inputs.atom_mask[0]].numpy()
    names = structure.atoms.name[tokens.atoms[places // slots, places % slots]]
    names = np.where(names == "SE", "SD", names)
    owners = places // slots
    return of_token, [(str(chain[row]), int(residue[row]), str(name)) for row, name in zip(owners, names, strict=True)]


def differing_keys(what: str, ours: list, theirs: list) -> list[str]:
    """Tokens or atoms that only one has, or that stand otherwise."""
    found = []
    if set(ours) != set(theirs) or len(ours) != len(theirs):
        here, there = (sorted(set(one) - set(other)) for one, other in ((ours, theirs), (theirs, ours)))
        found.append(f"{what}: only here {here}, only there {there}")
    if [each for each in ours if each in theirs] != [each for each in theirs if each in ours]:
        found.append(f"{what} stand in another order")
    return found


def compare(path: Path, folder: Path) -> tuple[list[str], Tensors]:
    """What differs in one input, and Boltz's tensors in structdiff's order, with the tokens and atoms they are of."""
    theirs, their_tokens, their_atoms = of_boltz(path, folder)
    inputs, job, slots = inputs_of(path)
    our_tokens, our_atoms = structdiff_keys(inputs, job, slots)
    found = differing_keys("tokens", our_tokens, their_tokens) + differing_keys("atoms", our_atoms, their_atoms)
    shared, atoms = ([each for each in one if each in set(other)]
                     for one, other in ((our_tokens, their_tokens), (our_atoms, their_atoms)))  # fmt: skip
    token = torch.nonzero(inputs.token_mask[0])[:, 0][[our_tokens.index(each) for each in shared]]
    atom = torch.tensor([our_atoms.index(each) for each in atoms])
    token_there, atom_there = (torch.tensor([keys.index(each) for each in wanted])
                               for keys, wanted in ((their_tokens, shared), (their_atoms, atoms)))  # fmt: skip
    representative = [their_atoms[row] for row in theirs["token_to_rep_atom"].argmax(-1).tolist()]
    theirs["representative"] = torch.tensor([our_atoms.index(each) if each in our_atoms else -1
                                             for each in representative])  # fmt: skip
    place = torch.full((len(their_tokens),), -1).scatter(0, token_there, token)
    theirs["atom_token"] = place[theirs["atom_to_token"].argmax(-1)]
    theirs["token_bonds"] = theirs["token_bonds"][..., 0]
    golden = {"tokens": token, "atoms": atom}
    for name in (*EXACT, *EQUALITY):
        its = theirs[NAMES.get(name, name)]
        golden[name] = taken(name, its.argmax(-1) if name in ONE_HOT else its, token_there, atom_there)
        mine = taken(name, vars(inputs)[name][0], token, atom)
        found += differences(name, compared(name, mine), compared(name, golden[name]))
    space = inputs.reference_space[0][atom]
    mine, its = (torch.cdist(each.double(), each.double(), compute_mode="donot_use_mm_for_euclid_dist")
                 * (space[:, None] == space)
                 for each in (inputs.reference_positions[0][atom], theirs["ref_pos"][atom_there]))  # fmt: skip
    return found + differences("reference_positions", mine, its, 1e-3), golden


def main() -> None:
    """Compares the cases that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--write", action="store_true", help="rewrite tests/golden/boltz/inputs.npz, of all cases")
    arguments = parser.parse_args()
    mend_alignments()
    warnings.simplefilter("ignore")
    golden: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        molecules = Path("mols")
        molecules.mkdir()
        for case in CASES if arguments.write else arguments.cases:
            found, tensors = compare(write_case(case, Path()), molecules)
            print(f"{case}: {'' if found else 'the same'}", *found, sep="\n  ")
            golden |= {f"{case}.{key}": compact(value) for key, value in tensors.items()}
    if arguments.write:
        np.savez_compressed(TESTS / "golden" / "boltz" / "inputs.npz", **golden)


def compact(values: torch.Tensor) -> np.ndarray:
    """The values in few bytes."""
    return values.numpy().astype(np.float32 if values.is_floating_point() else np.int16)


if __name__ == "__main__":
    sys.exit(main())
