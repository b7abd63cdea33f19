"""How well held-out complexes are put together: proteins with proteins and with ligands, told more and more of them.

    python benchmarks/complexes.py DATA [--tokens 200 --samples 1 --json benchmarks/results/complexes.json]
                                        [--kind "with ligands"] [--systems structures both]
    python benchmarks/complexes.py --table benchmarks/results/complexes.json

DATA is a set made by ``structdiff prepare``. Of its validation and test splits all entries without nucleic acids and
antibodies, of at most so many residues, all standard ones: those whose proteins touch each other (five pairs of
residues within 5 Å), or a ligand of the Chemical Component Dictionary with eight heavy atoms or more, other than what
crystals are grown in. Each is predicted from its sequences ("nothing told"), told what experiments tell ("contacts":
of each interface three pairs of residues that touch, drawn at random, of each ligand three residues of its pocket, all
with ``force``), with the structure of each protein chain held as a template, as docking of known structures has it
("structures"; they are those of the complex, so that docking is easier than it is in life), and with both. DockQ and
ligand RMSD (after superposition of the pocket) are means over an entry's interfaces and ligands. Of several samples the
first is judged, as without; a second table says how good the one is that the ranking score takes, and which there are.
A last table says what ipTM, ipSAE and pLDDT know, with and without the validation entries that the confidence head has
learnt.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from foretelling import correlated, correlation_text, learnt_entries, mean_error, told_apart
from prediction import identity
from scipy.spatial import KDTree

from structdiff.chemistry.residues import PROTEIN_THREE_TO_ONE
from structdiff.engine import Engine
from structdiff.errors import InputError
from structdiff.evaluation.accuracy import accuracy
from structdiff.evaluation.clashes import clashes
from structdiff.evaluation.ligand_pose import ADDITIVES
from structdiff.evaluation.summary import summarise
from structdiff.options import RunOptions
from structdiff.output.prediction import Prediction
from structdiff.pipeline import load_engine, predict
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec, ConstraintSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.template import TemplateSpec
from structdiff.structure.complex import build_complex
from structdiff.structure.files import write_atomically, write_structure
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.dataset import StructureSet

SYSTEMS = ("nothing told", "contacts", "structures", "both")
_TOUCHING, _FEWEST, _TOLD = 5.0, 5, 3  # Å between heavy atoms, pairs of an interface, pairs that are told
_SMALLEST = 8  # atoms of a ligand
_HELD = 1.0  # Å
_ACCEPTABLE = 0.23  # DockQ
_NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MEASURES = ("dockq", "ligand_rmsd", "lddt_pli", "lddt_ca", "tm")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A held-out complex, what is asked for (a chain for each of its own, in order) and what may be told of it."""

    name: str
    structure: Structure
    chains: tuple[ChainSpec, ...]
    told: tuple[ConstraintSpec, ...]

    @property
    def kind(self) -> str:
        return "with ligands" if any(chain.kind == "ligand" for chain in self.chains) else "proteins"


def held_out(data: Path, tokens: int) -> Iterator[Entry]:
    """The entries that fit, in the order of the set."""
    for split in ("val", "test"):
        structures = StructureSet(data, split)
        fit = (structures.num_residues <= tokens) & ~structures.nucleic & ~structures.antibody
        for index in np.flatnonzero(fit & (structures.atoms_kind == "all")).tolist():
            entry = _entry(structures.structure(index), np.random.default_rng(index))
            if entry is not None:
                yield entry


def _entry(structure: Structure, rng: np.random.Generator) -> Entry | None:
    proteins = np.flatnonzero(structure.chains.kind == ChainKind.PROTEIN).tolist()
    names = {name for row in proteins for name in _residue_names(structure, row)}
    if not proteins or not names <= set(PROTEIN_THREE_TO_ONE):
        return None
    atoms = np.isin(structure.atom_chain, proteins) & structure.atoms.resolved
    tree = KDTree(structure.atoms.positions[atoms])
    ligands = [
        row for row in np.flatnonzero(structure.chains.kind == ChainKind.LIGAND).tolist()
        if _is_ligand(structure, row) and _touching(structure, row, tree) >= _FEWEST
    ]  # fmt: skip
    structure = structure.select(np.isin(structure.atom_chain, proteins + ligands))
    told: list[ConstraintSpec] = []
    for one, other in combinations(range(len(structure.chains)), 2):
        pairs = _pairs(structure, one, other)
        ligand = structure.chains.kind[[one, other]] == ChainKind.LIGAND
        if len(pairs) < _FEWEST * (not ligand.any()) + 1 or ligand.all():
            continue
        drawn = pairs[rng.permutation(len(pairs))[:_TOLD]]
        if ligand.any():
            sites = tuple(_site(structure, int(row)) for row in np.unique(drawn[:, 0]))
            told.append(PocketSpec(binder=_NAMES[other], contacts=sites, force=True))
        else:
            told += [ContactSpec(token1=_site(structure, int(i)), token2=_site(structure, int(j)), force=True)
                     for i, j in drawn]  # fmt: skip
    if not told:
        return None
    chains = tuple(_chain(structure, row) for row in range(len(structure.chains)))
    return Entry(name=structure.name, structure=structure, chains=chains, told=tuple(told))


def _residue_names(structure: Structure, row: int) -> list[str]:
    return structure.residues.name[structure.chain_residues(row)].tolist()


def _is_ligand(structure: Structure, row: int) -> bool:
    names = _residue_names(structure, row)
    if len(names) != 1 or names[0] in ADDITIVES or int((structure.atom_chain == row).sum()) < _SMALLEST:
        return False
    try:
        build_complex(ComplexSpec(chains=(ChainSpec(ids=("A",), kind="ligand", ccd=(names[0],)),)))
    except InputError:  # nothing that the dictionary knows
        return False
    return True


def _touching(structure: Structure, row: int, tree: KDTree) -> int:
    """Atoms of the proteins near a chain."""
    own = structure.atoms.positions[(structure.atom_chain == row) & structure.atoms.resolved]
    return len(set().union(*tree.query_ball_point(own, _TOUCHING))) if len(own) else 0


def _pairs(structure: Structure, one: int, other: int) -> np.ndarray:
    """Rows [pair, 2] of residues of two chains that touch."""
    rows = [np.flatnonzero((structure.atom_chain == row) & structure.atoms.resolved) for row in (one, other)]
    trees = [KDTree(structure.atoms.positions[each]) for each in rows]
    near = [(i, j) for i, found in enumerate(trees[0].query_ball_tree(trees[1], _TOUCHING)) for j in found]
    residue = structure.atoms.residue
    pairs = {(int(residue[rows[0][i]]), int(residue[rows[1][j]])) for i, j in near}
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _site(structure: Structure, residue: int) -> Site:
    chain = int(structure.residues.chain[residue])
    return Site(chain=_NAMES[chain], residue=residue - int(structure.chains.residue_start[chain]) + 1)


def _chain(structure: Structure, row: int) -> ChainSpec:
    names = _residue_names(structure, row)
    if structure.chains.kind[row] == ChainKind.LIGAND:
        return ChainSpec(ids=(_NAMES[row],), kind="ligand", ccd=(names[0],))
    return ChainSpec(ids=(_NAMES[row],), kind="protein", sequence="".join(map(PROTEIN_THREE_TO_ONE.__getitem__, names)))


def templates(entry: Entry, folder: Path) -> tuple[TemplateSpec, ...]:
    """The structure of each protein chain as a template that is held, written to the folder."""
    found = []
    for row, chain in enumerate(entry.chains):
        if chain.kind == "ligand":
            continue
        own = entry.structure.select((entry.structure.atom_chain == row) & entry.structure.atoms.resolved)
        own = dataclasses.replace(own, chains=dataclasses.replace(own.chains, name=np.array(chain.ids)))
        path = write_structure(own, folder / f"{entry.name}_{chain.ids[0]}.cif")
        found.append(TemplateSpec(path=str(path), chains=chain.ids, force=True, threshold=_HELD))
    return tuple(found)


def judged(found: Prediction, entry: Entry) -> dict[str, float]:
    """How like the true complex it is, how many of the contacts that were told it has, and clashes between chains."""
    model = found.structure
    values = accuracy(model, entry.structure)
    pairs = clashes(model).pairs
    told = [each for each in found.verdicts if each.name.startswith(("contact", "pocket"))]
    return {name: float(values[name]) for name in _MEASURES if name in values} | {
        "clashes": float((model.atom_chain[pairs[:, 0]] != model.atom_chain[pairs[:, 1]]).sum()),
        "told": len(told), "met": sum(each.met for each in told),
        "plddt": found.confidence.mean_plddt / 100, "iptm": float(found.confidence.iptm or 0.0),
        "ranking": found.confidence.ranking_score,
        # Of ligands alone it is not defined.
        **({"ipsae": found.confidence.ipsae} if np.isfinite(found.confidence.ipsae) else {}),
    }  # fmt: skip


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {key: round(value, 4) for key, value in values.items()}


def measured(arguments: argparse.Namespace) -> list[dict]:
    options = RunOptions(weights=arguments.weights)
    engine: Engine = load_engine(options)
    learnt, known = learnt_entries(arguments.data), {}
    if arguments.json and arguments.json.is_file():
        known = {row["name"]: row for row in json.loads(arguments.json.read_text())["entries"]}
    rows = []
    for entry in held_out(arguments.data, arguments.tokens):
        if arguments.kind not in (None, entry.kind):
            rows += [known[entry.name]] if entry.name in known else []
            continue
        row: dict = {"name": entry.name, "kind": entry.kind, "residues": len(entry.structure.residues),
                     "learnt": entry.name in learnt}  # fmt: skip
        with TemporaryDirectory() as folder:
            held = templates(entry, Path(folder))
            before = known.get(entry.name, {})
            for system in SYSTEMS:
                if system not in arguments.systems and system in before:
                    row[system] = before[system]
                    continue
                spec = ComplexSpec(
                    name=entry.name, chains=entry.chains,
                    constraints=entry.told if system in ("contacts", "both") else (),
                    templates=held if system in ("structures", "both") else (),
                )  # fmt: skip
                drawn = predict(spec, samples=arguments.samples, seed=0, options=options, engine=engine)
                first, *others = (_rounded(judged(found, entry)) for found in drawn)
                row[system] = first | ({"samples": [first, *others]} if others else {})
        rows.append(row)
        found = [f"{system} {_told(row[system])}" for system in SYSTEMS]
        print(f"{entry.name} {entry.kind} {row['residues']}: {'; '.join(found)}", file=sys.stderr)
    return rows


def _told(values: dict) -> str:
    texts = [("dockq", "DockQ", 2), ("ligand_rmsd", "ligand RMSD", 1)]
    return ", ".join(f"{name} {values[key]:.{digits}f}" for key, name, digits in texts if key in values)


def table(rows: Sequence[dict]) -> str:
    """The table of the model card."""
    lines = [
        "| told | entries | DockQ | DockQ at least 0.23 | ligand RMSD, Å | lDDT-PLI | contacts met "
        "| clashes between chains | lDDT of CA | ipTM | ipSAE |",
        "|---" * 11 + "|",
    ]
    for kind in ("proteins", "with ligands"):
        for system in SYSTEMS:
            own = [row[system] for row in rows if row["kind"] == kind]
            scores = [row["dockq"] for row in own if "dockq" in row]
            good = f"{sum(score >= _ACCEPTABLE for score in scores)} of {len(scores)}"
            told = sum(row["told"] for row in own)
            cells = [
                f"{kind}: {system}", str(len(own)), _mean(own, "dockq", 2), good, _mean(own, "ligand_rmsd", 1),
                _mean(own, "lddt_pli", 2), f"{sum(row['met'] for row in own)} of {told}" if told else "-",
                _mean(own, "clashes", 1), _mean(own, "lddt_ca", 2), _mean(own, "iptm", 2),
                _mean(own, "ipsae", 2),
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ranked_table(rows: Sequence[dict]) -> str:
    """Of several samples of each complex: the first, the one of the highest ranking score, and the best."""
    lines = ["| told | measure | entries | first sample | ranked first | best of all |", "|---" * 6 + "|"]
    for kind, key in (("proteins", "dockq"), ("with ligands", "lddt_pli")):
        for system in SYSTEMS:
            drawn = [row[system]["samples"] for row in rows if row["kind"] == kind]
            drawn = [some for some in drawn if np.isfinite([each.get(key, np.nan) for each in some]).all()]
            chosen = [max(some, key=lambda each: each["ranking"]) for some in drawn]
            found = [[some[0] for some in drawn], chosen, [{key: max(each[key] for each in some)} for some in drawn]]
            cells = [f"{kind}: {system}", {"dockq": "DockQ", "lddt_pli": "lDDT-PLI"}[key], str(len(drawn))]
            lines.append("| " + " | ".join([*cells, *(_mean(each, key, 2) for each in found)]) + " |")
    return "\n".join(lines)


def confidence_table(rows: Sequence[dict]) -> str:
    """What ipTM says of interfaces and ligands, ipSAE of interfaces and pLDDT of chains, with and without those learnt.

    Results of before ipSAE was measured have none of it.
    """
    lines = [
        "| chains | entries | cases | ipTM and DockQ, Spearman | acceptable told apart (means) "
        "| ipSAE and DockQ, Spearman | acceptable told apart by ipSAE | ipTM and lDDT-PLI | pLDDT and lDDT of CA "
        "| mean error of 100 |",
        "|---" * 10 + "|",
    ]
    for label, systems in (("held", ("structures", "both")), ("not held", ("nothing told", "contacts"))):
        for name, own in (("all", rows), ("not learnt", [row for row in rows if not row["learnt"]])):
            cases = [row[system] for row in own for system in systems]
            docked, sure, ligands, chains = (
                [
                    (case[told], case[true])
                    for case in cases
                    if np.isfinite([case.get(told, np.nan), case.get(true, np.nan)]).all()
                ]
                for told, true in (("iptm", "dockq"), ("ipsae", "dockq"), ("iptm", "lddt_pli"), ("plddt", "lddt_ca"))
            )
            apart, apart_by_ipsae = (
                told_apart([told for told, _ in pairs], [true >= _ACCEPTABLE for _, true in pairs])
                for pairs in (docked, sure)
            )
            cells = [
                label, f"{len(own)}, {name}", f"{len(docked)}, {len(ligands)}, {len(chains)}",
                correlation_text(correlated(docked)), apart, correlation_text(correlated(sure)), apart_by_ipsae,
                correlation_text(correlated(ligands)), correlation_text(correlated(chains)), mean_error(chains),
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(rows: Sequence[dict], key: str, digits: int) -> str:
    values = [row[key] for row in rows if np.isfinite(row.get(key, np.nan))]
    if not values:
        return "-"
    found = summarise(values)
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--weights", default="mini")
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument(
        "--kind", choices=("proteins", "with ligands"), help="of others what the JSON file says is kept"
    )
    parser.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="of others what the JSON file says is kept"
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--table", type=Path, help="write the table of a result, and measure nothing")
    arguments = parser.parse_args()
    if arguments.table:
        _show(json.loads(arguments.table.read_text())["entries"])
        return
    if arguments.data is None:
        parser.error("DATA is missing")
    rows = measured(arguments)
    if arguments.json:
        result = {"weights": identity(arguments.weights), "entries": rows}
        write_atomically(arguments.json, json.dumps(result, indent=1) + "\n")
    _show(rows)


def _show(rows: Sequence[dict]) -> None:
    print(table(rows))
    if all("samples" in row[system] for row in rows for system in SYSTEMS):
        print("\n" + ranked_table(rows))
    print("\n" + confidence_table(rows))


if __name__ == "__main__":
    main()
