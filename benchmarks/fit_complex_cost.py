"""Fits what complexes take beside the network (structdiff/cost.py): chains moved as pieces, docking, relaxation.

    python benchmarks/fit_complex_cost.py           fits, writes structdiff/data/cost.json, prints how well it fits
    python benchmarks/fit_complex_cost.py --check   measures other complexes, prints how far the written model is off

Sequences and places of contacts are drawn at random. Times are those of the processor; take them with
OMP_NUM_THREADS=1 on a machine that is idle.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import nnls

from structdiff import finishing, pipeline
from structdiff.complex_jobs import complex_job
from structdiff.constraints.chain_poses import ChainPoses
from structdiff.cost import (
    _factor,
    _fitted,
    chain_docking_seconds,
    chain_docking_terms,
    docking_seconds,
    docking_terms,
    pieces_seconds,
    product_seconds,
    relax_terms,
)
from structdiff.docking.chain_placement import ChainDocking
from structdiff.docking.placement import LigandDocking
from structdiff.docking.work import ChainSearch, Part, SiteSearch
from structdiff.engine import Engine
from structdiff.options import RunOptions, sampling_of
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec, ContactSpec, PocketSpec, Site
from structdiff.structure.tables import Structure

COST = Path(__file__).resolve().parent.parent / "structdiff" / "data" / "cost.json"
LIGANDS = {
    "phenol": "c1ccccc1O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "adenosine": "Nc1ncnc2n(cnc12)[C@@H]1O[C@H](CO)[C@@H](O)[C@H]1O",
    "imatinib": "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1",
    "lapatinib": "CS(=O)(=O)CCNCc1ccc(o1)-c1ccc2ncnc(Nc3ccc(OCc4cccc(F)c4)c(Cl)c3)c2c1",
    "atazanavir": "COC(=O)N[C@H](C(=O)N[C@@H](Cc1ccccc1)[C@@H](O)CN(Cc1ccc(cc1)-c1ccccn1)NC(=O)"
    "[C@@H](NC(=O)OC)C(C)(C)C)C(C)(C)C",
}
#: lengths of chains, ligands, contacts between neighbouring chains, whether ligands have pockets
FITTED = [
    ((80, 70), (), 2, False), ((80, 70, 90), (), 1, False), ((150, 150), (), 3, False), ((25,) * 8, (), 1, False),
    ((120,), ("phenol", "paracetamol", "ibuprofen"), 0, True), ((200,), ("imatinib",), 0, True),
    ((60, 60), ("adenosine",), 1, True), ((100,), ("lapatinib",), 0, False), ((150,), ("atazanavir",), 0, False),
    ((80, 70), (), 0, False), ((25,) * 8, (), 0, False), ((90, 90), ("adenosine", "phenol"), 0, False),
]  # fmt: skip
CHECKED = [
    ((130, 60), (), 1, False), ((110,), ("imatinib", "phenol"), 0, True), ((30,) * 5, (), 0, False),
    ((180,), ("ibuprofen",), 0, False), ((40, 40, 40), ("lapatinib",), 1, True),
]  # fmt: skip


@dataclass
class Measured:
    """work: of moving pieces, at most; pieces, relaxing: seconds. docked: what is done at a site, sites and
    seconds of each ligand.

    chains: residues, residues of what is there, and seconds of each chain that is docked, as if all were known.
    """

    tokens: int
    asked: bool
    work: np.ndarray
    product: float
    pieces: float = 0.0
    relaxing: float = 0.0
    docked: list[tuple[SiteSearch, int, float]] = field(default_factory=list)
    chains: list[tuple[int, int, float]] = field(default_factory=list)


def complex_of(case: tuple) -> ComplexSpec:
    """A complex with random sequences, and contacts and pockets at random places."""
    lengths, ligands, contacts, pockets = case
    dice = random.Random(str(case))
    names = "ABCDEFGH"[: len(lengths)]
    chains = [
        ChainSpec(ids=(name,), kind="protein", sequence="".join(dice.choices("ACDEFGHIKLMNPQRSTVWY", k=length)))
        for name, length in zip(names, lengths, strict=True)
    ]
    chains += [ChainSpec(ids=(f"L{each}",), kind="ligand", smiles=LIGANDS[name]) for each, name in enumerate(ligands)]

    def place(number: int) -> Site:
        return Site(chain=names[number], residue=dice.randint(1, lengths[number]))

    asked = [
        ContactSpec(token1=place(number), token2=place(number + 1))
        for number in range(len(lengths) - 1)
        for _ in range(contacts)
    ]
    if pockets:
        asked += [PocketSpec(binder=f"L{each}", contacts=(place(0), place(0))) for each in range(len(ligands))]
    return ComplexSpec(chains=tuple(chains), constraints=tuple(asked))


def measured(case: tuple, engine: Engine, options: RunOptions) -> Measured:
    """One structure of a complex drawn with the clock at what counts."""
    spec, sampling = complex_of(case), sampling_of(options, engine.weights)
    job = complex_job(spec)
    (poses,) = (each for each in job.clearance if isinstance(each, ChainPoses))
    levels = sampling.levels()
    work = 2 * np.sum([poses.most_work(sigma) for sigma in levels[:-1]], axis=0)
    found = Measured(
        tokens=job.seen_tokens, asked=poses.asked, work=work, product=np.median([product_seconds() for _ in range(5)])
    )
    project, search, relax = ChainPoses.project, LigandDocking._poses, finishing._relaxed

    def projected(*arguments):
        began = time.process_time()
        done = project(*arguments)
        found.pieces += time.process_time() - began
        return done

    def searched(own, rows, *arguments):
        began = time.process_time()
        done = search(own, rows, *arguments)
        found.docked.append((own.search(rows), own.sites(rows), time.process_time() - began))
        return done

    def relaxed(*arguments):
        began = time.process_time()
        done = relax(*arguments)
        found.relaxing += time.process_time() - began
        return done

    ChainPoses.project, LigandDocking._poses, finishing._relaxed = projected, searched, relaxed
    try:
        (drawn,) = pipeline.predict(spec, seed=1, options=options, engine=engine)
    finally:
        ChainPoses.project, LigandDocking._poses, finishing._relaxed = project, search, relax
    found.chains.extend(chains_docked(drawn.structure))
    return found


def chains_docked(structure: Structure) -> list[tuple[int, int, float]]:
    """What docking each chain of a structure takes."""
    everything = np.ones(len(structure.atoms), bool)
    docking, found = ChainDocking.of(structure, np.arange(len(structure.chains)), everything), []

    def done(part: Part) -> None:
        assert isinstance(part, ChainSearch)
        found.append((part.residues, part.others, time.process_time() - began - sum(row[2] for row in found)))

    began = time.process_time()
    if docking is not None:
        docking.placed(torch.from_numpy(structure.atoms.positions), torch.Generator().manual_seed(0), done)
    return found


def fit(found: list[Measured]) -> dict:
    """Non-negative least squares of relative errors."""
    asked, unasked = ([each for each in found if each.asked is wanted] for wanted in (True, False))
    seconds = np.array([each.pieces for each in asked])
    pieces, _ = nnls(np.array([each.work for each in asked]) / seconds[:, None], np.ones(len(seconds)))
    most = sum(float(each.work @ pieces) for each in unasked)
    docked = [each for one in found for each in one.docked]
    seconds = np.array([each[2] for each in docked])
    terms = np.array([sites * docking_terms(each.atoms, each.rounds) for each, sites, _ in docked])
    docking, _ = nnls(terms / seconds[:, None], np.ones(len(seconds)))
    chains = [each for one in found for each in one.chains]
    seconds = np.array([each[2] for each in chains])
    terms = np.array([chain_docking_terms(own, others) for own, others, _ in chains])
    chain_docking, _ = nnls(terms / seconds[:, None], np.ones(len(seconds)))
    seconds = np.array([each.relaxing for each in found])
    relaxing, _ = nnls(
        np.array([relax_terms(each.tokens, 1) for each in found]) / seconds[:, None], np.ones(len(found))
    )
    return {
        "product_seconds": float(np.median([each.product for each in found])),
        "pieces": pieces.tolist(),
        "unasked": sum(each.pieces for each in unasked) / most,
        "docking": docking.tolist(),
        "chain_docking": chain_docking.tolist(),
        "relax": relaxing.tolist(),
    }


def report(cases: list[tuple], found: list[Measured]) -> None:
    """Prints measured and estimated seconds."""
    scale = 1 / _factor("complexes")  # back to the machine that was measured
    print("chains, ligands, contacts, pockets: seconds of moving pieces, estimated; docking of ligands, estimated; "
          "of chains, estimated; relaxation, estimated")  # fmt: skip
    for case, each in zip(cases, found, strict=True):
        pieces = scale * pieces_seconds(each.work, asked=each.asked)
        docking = scale * sum(sites * docking_seconds(one.atoms, one.rounds) for one, sites, _ in each.docked)
        chains = scale * sum(chain_docking_seconds(own, others) for own, others, _ in each.chains)
        relaxing = relax_terms(each.tokens, 1) @ np.array(_fitted()["complexes"]["relax"])
        print(
            f"{case}: {each.pieces:.2f}, {pieces:.2f}; {sum(row[2] for row in each.docked):.2f}, {docking:.2f}; "
            f"{sum(row[2] for row in each.chains):.2f}, {chains:.2f}; {each.relaxing:.2f}, {relaxing:.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    options = RunOptions(device="cpu")
    engine = pipeline.load_engine(options)
    cases = CHECKED if check else FITTED
    measured(((20, 20), (), 0, False), engine, options)  # what is loaded once is no part of the cost of a structure
    found = [measured(case, engine, options) for case in cases]
    if not check:
        COST.write_text(json.dumps(json.loads(COST.read_text()) | {"complexes": fit(found)}, indent=1) + "\n")
        _fitted.cache_clear()
    report(cases, found)


if __name__ == "__main__":
    main()
