"""Designed sequences for the backbones of a training set: each fold with another sequence than nature's.

    python -m structdiff.training.redesign DATA [--sequences 20000 --minutes 30 --temperature 0.2 --seed 0 --threads 1]

DATA is a folder made by ``structdiff prepare``. ProteinMPNN (Dauparas et al. 2022; ``structdiff weights fetch
proteinmpnn``) draws sequences for the entries of the training split, in such turns that each gets about as many
residues: small entries, which a training sees whole and often, get up to sixteen. Copies of a chain are alike.
``tasks.redesigned`` of the settings of a training says how often a prediction is learnt from one of them
(docs/data.md). The same command goes on after a stop, also to more sequences.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from structdiff.chemistry.residues import BACKBONE_ATOMS, PROTEIN_THREE_TO_ONE
from structdiff.configuration import from_dict, to_dict
from structdiff.errors import InputError
from structdiff.evaluation.oxygen import with_oxygen
from structdiff.inverse_folding import Restrictions, SequenceConfig, design_for_backbones
from structdiff.inverse_folding.alphabet import letter_index
from structdiff.structure.files import write_atomically
from structdiff.structure.tables import ChainKind, Structure
from structdiff.training.command import run_command
from structdiff.training.dataset import StructureSet
from structdiff.training.set_files import REDESIGNED

#: Most sequences of an entry, and how many of an entry when none are asked for, in the mean.
MOST, _USUAL = 16, 4
#: Residues that are drawn together, and after how many the file is written.
_AT_ONCE, _SAVED = 16384, 60000


@dataclass(frozen=True, kw_only=True)
class Redesign:
    """How the sequences of a set were drawn.

    done: how many there are, or are wanted: the first ones of ``turns``.
    """

    model: str = "proteinmpnn"
    temperature: float = 0.2
    seed: int = 0
    done: int = 0


def turns(structures: StructureSet) -> tuple[np.ndarray, np.ndarray]:
    """In which order sequences are drawn: entries, and the number of the sequence; antibodies come last.

    That of an entry of n residues which is number k comes before those where (k + 1) n is larger.
    """
    number, entry = np.divmod(np.arange(MOST * len(structures)), len(structures))
    sizes = np.maximum(structures.num_residues, 1)[entry]
    order = np.lexsort([entry, (number + 1) * sizes, structures.antibody[entry]])
    return entry[order], number[order]


def redesign(data: Path, settings: Redesign, *, minutes: float | None = None) -> int:
    """Draws until there are ``settings.done`` sequences, or the minutes are over; returns how many there are.

    Goes on where an earlier call stopped. Raises InputError for a set whose sequences were drawn otherwise, and where
    the network has not been fetched.
    """
    structures = StructureSet(data, "train")
    found = drawn_before(data, settings)
    entries, numbers = turns(structures)
    wanted = min(settings.done, len(entries))
    letters = _with_rows(structures.redesigned_letters())
    began, unsaved = time.monotonic(), 0
    try:
        while found.done < wanted and (minutes is None or time.monotonic() - began < 60 * minutes):
            sizes = np.cumsum(structures.num_residues[entries[found.done : wanted]])
            count = max(1, int(np.searchsorted(sizes, _AT_ONCE, side="right")))
            span = slice(found.done, found.done + count)
            _draw(structures, list(zip(entries[span].tolist(), numbers[span].tolist(), strict=True)), letters, settings)
            found = replace(settings, done=found.done + count)
            unsaved += int(sizes[count - 1])
            if unsaved >= _SAVED:
                _save(data, letters, found)
                unsaved = 0
                print(f"{found.done} of {wanted} sequences, {time.monotonic() - began:.0f} s", flush=True)
    finally:
        if unsaved:
            _save(data, letters, found)
    return found.done


def _with_rows(letters: np.ndarray) -> np.ndarray:
    """The letters (sequence, residue) with room for all sequences."""
    return np.pad(letters, ((0, MOST - len(letters)), (0, 0)))


def _draw(structures: StructureSet, batch: Sequence[tuple[int, int]], letters: np.ndarray, settings: Redesign) -> None:
    """Sequences (entry, number), into ``letters`` (number, residue of the whole set)."""
    for number in sorted({number for _, number in batch}):
        asked = [(index, *_asked(structures.structure(index))) for index, each in batch if each == number]
        asked = [each for each in asked if not each[2].all()]
        if not asked:
            continue
        config = SequenceConfig(
            model=settings.model, num_sequences=1, first=number, temperature=settings.temperature, seed=settings.seed
        )
        backbones = [
            (structure, Restrictions(fixed=fixed, tied=_copies(structure, fixed))) for _, structure, fixed in asked
        ]
        for (index, _, _), (found,) in zip(asked, design_for_backbones(backbones, config), strict=True):
            names = found.structure.residues.name[found.designed].tolist()
            designed = [1 + letter_index(PROTEIN_THREE_TO_ONE[name]) for name in names]
            letters[number, structures.residue_span(index)][found.designed] = designed


def _asked(structure: Structure) -> tuple[Structure, np.ndarray]:
    """The structure with all its O, and which residues keep their letter: (residue,) bool."""
    protein = structure.chains.kind[structure.residues.chain] == ChainKind.PROTEIN
    standard = np.isin(structure.residues.name, list(PROTEIN_THREE_TO_ONE))
    whole = with_oxygen(structure)
    seen = np.bincount(
        whole.atoms.residue[whole.atoms.resolved & np.isin(whole.atoms.name, BACKBONE_ATOMS)],
        minlength=len(structure.residues),
    )
    return whole, ~(protein & standard & (seen == len(BACKBONE_ATOMS)))


def _copies(structure: Structure, fixed: np.ndarray) -> list[list[int]]:
    """Rows of the same place in copies of one chain, which get the same amino acid."""
    groups = defaultdict(list)
    entity = structure.chains.entity_id[structure.residues.chain]
    for row in np.flatnonzero(~fixed).tolist():
        groups[int(entity[row]), int(structure.residues.label_seq_id[row])].append(row)
    return [rows for rows in groups.values() if len(rows) > 1]


def recorded(data: Path) -> Redesign | None:
    """How the sequences of a set were drawn; None where it has none. Raises InputError for a damaged record."""
    path = data / f"{REDESIGNED}.json"
    if not path.is_file() or not (data / f"{REDESIGNED}.npy").is_file():
        return None
    try:
        return from_dict(Redesign, json.loads(path.read_text(encoding="utf-8")), path=path)
    except ValueError as error:
        raise InputError(f"cannot be read: {error}", path=path) from None


def drawn_before(data: Path, settings: Redesign) -> Redesign:
    """How far an earlier call came. Raises InputError where its settings were others."""
    path, found = data / f"{REDESIGNED}.json", recorded(data)
    if found is None:
        return replace(settings, done=0)
    for key in ("model", "temperature", "seed"):
        if getattr(found, key) != getattr(settings, key):
            message = "the set has sequences that were drawn otherwise; remove the file, or ask for the same"
            raise InputError(message, path=path, key=key, found=getattr(settings, key), allowed=[getattr(found, key)])
    return found


def _save(data: Path, letters: np.ndarray, settings: Redesign) -> None:
    # The record comes last: a stop between the two repeats what the record does not know.
    buffer = io.BytesIO()
    np.save(buffer, letters, allow_pickle=False)
    write_atomically(data / f"{REDESIGNED}.npy", buffer.getvalue())
    write_atomically(data / f"{REDESIGNED}.json", json.dumps(to_dict(settings), indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the sequences from the command line; returns the exit status."""
    default = Redesign()
    parser = argparse.ArgumentParser(
        prog="python -m structdiff.training.redesign", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("data", type=Path, help="folder of the training set")
    parser.add_argument("--sequences", type=int, default=None, help="in all (default: four times the entries)")
    parser.add_argument("--model", default=default.model, help="network that draws (default proteinmpnn)")
    parser.add_argument("--temperature", type=float, default=default.temperature, help="of the amino acids (0.2)")
    parser.add_argument("--seed", type=int, default=default.seed, help="of all draws (0)")
    parser.add_argument("--minutes", type=float, default=None, help="stop after so many (default: all entries)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)

    def drawn() -> str:
        if options.sequences is not None and options.sequences < 1:
            raise InputError("at least one sequence must be wanted", key="sequences", found=options.sequences)
        usual = _USUAL * len(StructureSet(options.data, "train"))
        settings = Redesign(
            model=options.model, temperature=options.temperature, seed=options.seed, done=options.sequences or usual
        )
        done = redesign(options.data, settings, minutes=options.minutes)
        return f"{options.data / REDESIGNED}.npy: {done} sequences"

    return run_command(drawn)


if __name__ == "__main__":
    sys.exit(main())
