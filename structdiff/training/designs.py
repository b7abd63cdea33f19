"""Designs to learn from: chains that follow ideal folds, each with several sequences that ProteinMPNN drew for it.

    python -m structdiff.training.designs OUT [--designs 1500 --residues 50-128 --sequences 4 --seed 1001]

Runs ``structdiff design``, makes a training set of what it drew (OUT/set) and draws more sequences for its chains
(``structdiff.training.redesign``); ProteinMPNN must be there (``structdiff weights fetch proteinmpnn``). ``designs`` of
the settings of a training names OUT, ``batches.designs`` says how often a structure is one of these (docs/data.md).
The same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from structdiff.configuration import from_dict, to_dict
from structdiff.errors import InputError, StructdiffError
from structdiff.inverse_folding.library import load_network
from structdiff.model.library import load_named_weights
from structdiff.structure.files import write_atomically
from structdiff.training.command import run_command
from structdiff.training.dataset import StructureSet
from structdiff.training.folder import convert_folder
from structdiff.training.redesign import Redesign, redesign

_RECORD, _SET, _DRAWN = "designs.json", "set", "drawn"


@dataclass(frozen=True, kw_only=True)
class DrawnDesigns:
    """How a set of designs was made.

    designs: how many chains; residues: of how many residues each, a number or a range; sequences: of each chain, beside
    the one that it was relaxed with; weights_sha256: of the network that drew them, empty before it is known.
    """

    designs: int = 1500
    residues: str = "50-128"
    sequences: int = 4
    seed: int = 1001
    weights_sha256: str = ""


def draw_designs(out: Path, settings: DrawnDesigns, *, weights: str | Path = "mini", threads: int | None = None) -> int:
    """Makes the set OUT/set, or goes on with it; returns how many designs it has.

    Raises InputError for a folder of designs that were drawn otherwise, and where ProteinMPNN has not been fetched.
    """
    if min(settings.designs, settings.sequences) < 1:
        found = (settings.designs, settings.sequences)
        raise InputError("at least one design and one sequence must be wanted", key="designs", found=found)
    settings = replace(settings, weights_sha256=load_named_weights(weights).sha256)
    load_network(Redesign.model)  # that it is missing is said now, not after hours
    _claim(out, settings)
    if not (out / _SET / "set.json").is_file():
        _draw(out / _DRAWN, settings, weights, threads)
        _convert(out / _DRAWN, out / _SET)
    chains = len(designs_set(out))
    if not chains:
        message = "all designs are held out; draw more of them, or repeat a larger share of a training in a new folder"
        raise InputError(message, path=out, found=settings.designs)
    redesign(out / _SET, Redesign(seed=settings.seed, done=settings.sequences * chains))
    return chains


def designs_set(out: Path) -> StructureSet:
    """The training split of what ``draw_designs`` made. Raises InputError for a folder that it did not make."""
    recorded_designs(out)
    return StructureSet(out / _SET, "train")


def recorded_designs(out: Path) -> DrawnDesigns:
    """How a set of designs was made. Raises InputError for a folder that is none."""
    path = out / _RECORD
    try:
        return from_dict(DrawnDesigns, json.loads(path.read_text(encoding="utf-8")), path=path)
    except FileNotFoundError:
        message = "no set of designs (`python -m structdiff.training.designs` makes one)"
        raise InputError(message, path=out, key="designs") from None
    except ValueError as error:
        raise InputError(f"cannot be read: {error}", path=path) from None


def _claim(out: Path, settings: DrawnDesigns) -> None:
    """Writes the record; an error where the folder has designs of other settings."""
    if (out / _RECORD).is_file() and (found := recorded_designs(out)) != settings:
        changed = next(key for key, value in to_dict(settings).items() if value != getattr(found, key))
        raise InputError("has designs that were drawn otherwise; give another folder, or ask for the same", path=out,
                         key=changed, found=getattr(settings, changed), allowed=[getattr(found, changed)])  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / _RECORD, json.dumps(to_dict(settings), indent=2) + "\n")


def _draw(folder: Path, settings: DrawnDesigns, weights: str | Path, threads: int | None) -> None:
    command = [
        sys.executable, "-m", "structdiff", "design", "--contigs", settings.residues, "-n", str(settings.designs),
        "--seed", str(settings.seed), "--weights", str(weights), "--refold", "none", "--judge", "none",
        "--out", str(folder),
    ]  # fmt: skip
    environment = os.environ if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    if subprocess.run(command, env=environment, check=False).returncode:
        raise StructdiffError("the designs were not drawn (see above); the same command goes on")


def _convert(drawn: Path, out: Path) -> None:
    """The designs as a training set: their mmCIF files alone, since each is also there as PDB and as a backbone."""
    with tempfile.TemporaryDirectory(dir=drawn.parent) as folder:
        files = Path(folder, "designs")
        files.mkdir()
        for path in drawn.glob("*.cif"):
            (files / path.name).symlink_to(path.resolve())
        convert_folder(files, out, progress=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the designs from the command line; returns the exit status."""
    default = DrawnDesigns()
    parser = argparse.ArgumentParser(
        prog="python -m structdiff.training.designs", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--designs", type=int, default=default.designs, help="chains (1500)")
    parser.add_argument("--residues", default=default.residues, help="of each, a number or a range (50-128)")
    parser.add_argument("--sequences", type=int, default=default.sequences, help="more sequences of each (4)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of all draws (1001)")
    parser.add_argument("--weights", default="mini", help="name or folder of the network that draws (mini)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = DrawnDesigns(
        designs=options.designs, residues=options.residues, sequences=options.sequences, seed=options.seed
    )

    def drawn() -> str:
        count = draw_designs(options.out, settings, weights=options.weights, threads=options.threads)
        return f"{options.out}: {count} designs to learn from"

    return run_command(drawn)


if __name__ == "__main__":
    sys.exit(main())
