"""Compares the alignment of a complex with the one that the boltz package makes of the same CSV files.

    pip install --no-deps boltz==2.2.1 numba llvmlite mashumaro pandas && python benchmarks/parity_boltz2_msa.py

Random complexes of one to four chains, some of them copies, some without an alignment. Two lines of the package are
mended first, for they do not do what they say:

- ``visited`` never holds what is looked for in it, so that each paired row comes again among the others;
- ``chain_deletions`` is cut anew for each sequence from what the last one left of it, so that nearly all are lost.

What is left are two differences that are meant: where the chains themselves have a key they are one row, not two, and
``deletion_value`` is 2/pi atan(d/3), as AlphaFold 3 has it, where Boltz writes pi/2. Prints how many complexes have the
same tables, with both lines mended and as the package is.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from boltz.data import const
from boltz.data.parse.csv import parse_csv

from structdiff.features.alignments import msa_features
from structdiff.features.tokens import tokenise
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import ComplexSpec
from structdiff.structure.complex import build_complex

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
MENDED = (
    ("{(c, s) for c, items in taxonomy_map for s in items}", "{s for _, items in taxonomy_map for s in items}"),
    ("chain_deletions = chain_deletions[del_start:del_end]", "own_deletions = chain_deletions[del_start:del_end]"),
    ("for deletion_data in chain_deletions:", "for deletion_data in own_deletions:"),
)
Tables = tuple[np.ndarray, np.ndarray, np.ndarray]


def boltz_pairing(*, mended: bool) -> Callable:
    """The package's function, with or without its two lines mended."""
    spec = importlib.util.find_spec("boltz.data.feature.featurizerv2")
    text = Path(spec.origin).read_text().replace("cache=True", "cache=False")
    for written, meant in MENDED if mended else ():
        if written not in text:
            raise SystemExit(f"this is not the boltz that was compared: there is no {written!r}")
        text = text.replace(written, meant)
    module = types.ModuleType("featurizer")
    exec(compile(text, spec.origin, "exec"), module.__dict__)
    return module.construct_paired_msa


def random_rows(rng: np.random.Generator, length: int, key: str) -> tuple[str, str]:
    """A sequence, and a CSV file of an alignment of it: gaps, insertions, keys that come again, and rows that do.

    key: of the sequence itself.
    """
    query = "".join(rng.choice(list(LETTERS), length))
    lines = [f"{key},{query}"]
    for _ in range(rng.integers(0, 40)):
        letters = list(rng.choice([*LETTERS, *"XUOBZJ", "-", "-"], length))
        for place in np.flatnonzero(rng.random(length) < 0.1):
            letters[place] = "".join(rng.choice(list(LETTERS.lower()), rng.integers(1, 9))) + letters[place]
        key = rng.choice(["-1", "", *map(str, range(1, 20))])
        lines.append(f"{key},{''.join(letters)}")
        if key in ("-1", "") and rng.random() < 0.3:
            lines.append(lines[rng.integers(len(lines))].partition(",")[2].join([f"{key},", ""]))
    return query, "\n".join(["key,sequence", *lines]) + "\n"


def random_complex(rng: np.random.Generator, folder: Path) -> ComplexSpec:
    chains, names, key = [], iter("ABCDEFGHIJ"), str(rng.choice(["-1", "0"]))
    for number in range(rng.integers(1, 4)):
        query, text = random_rows(rng, int(rng.integers(4, 12)), key)
        (folder / f"{number}.csv").write_text(text)
        msa = (str(folder / f"{number}.csv"),) if number == 0 or rng.random() < 0.8 else ()
        ids = tuple(next(names) for _ in range(rng.integers(1, 3)))
        chains.append(ChainSpec(ids=ids, kind="protein", sequence=query, msa=msa))
    return ComplexSpec(chains=tuple(chains))


def ours(spec: ComplexSpec) -> Tables:
    structure = build_complex(spec)
    found = msa_features(spec, structure, tokenise(structure))
    counts = torch.tan(found.deletion_value.double() * torch.pi / 2) * 3
    return found.restype.numpy(), counts.round().long().numpy(), found.paired.numpy()


def theirs(spec: ComplexSpec, pairing: Callable) -> Tables:
    """The package's tables [row, token], without the row in which the chains themselves come again."""
    chains, residues, tokens, msa = [], [], [], {}
    for number, name in enumerate(spec.chain_ids):
        chain = spec.chain(name)
        chains.append((len(residues), len(chain)))
        tokens += [(number, place) for place in range(len(chain))]
        residues += [const.token_ids[code] for code in spec.component_names(name)]
        if chain.msa:
            msa[number] = parse_csv(Path(chain.msa[0]))
    structure = types.SimpleNamespace(
        chains=np.array(chains, [("res_idx", int), ("res_num", int)]), residues=np.array(residues, [("res_type", int)])
    )
    # A table whose columns are taken by name, a row of which is indexed in the same way.
    table = np.array(tokens, [("asym_id", np.int64), ("res_idx", np.int64)])
    data = types.SimpleNamespace(structure=structure, tokens=table, msa=msa, record=types.SimpleNamespace(id="random"))
    found = [each.numpy().T for each in pairing(data, np.random.default_rng(0), 16384)]
    if len(found[0]) > 1 and (known := found[2][1] > 0).any() and (found[0][1] == found[0][0])[known].all():
        found = [np.delete(each, 1, 0) for each in found]
    return found[0], found[1], found[2].astype(bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--complexes", type=int, default=200)
    count = parser.parse_args().complexes
    for mended in (True, False):
        rng, pairing, same = np.random.default_rng(0), boltz_pairing(mended=mended), np.zeros(3, int)
        rows = 0
        for _ in range(count):
            with tempfile.TemporaryDirectory() as folder:
                spec = random_complex(rng, Path(folder))
                own, other = ours(spec), theirs(spec, pairing)
            same += [a.shape == b.shape and bool((a == b).all()) for a, b in zip(own, other, strict=True)]
            rows += len(own[0])
        word = "two lines mended" if mended else "as it is"
        print(f"boltz, {word}: of {count} complexes ({rows} rows) the same letters {same[0]}, deletions {same[1]}, "
              f"pairing {same[2]}")  # fmt: skip


if __name__ == "__main__":
    main()
