"""Which true structure belongs to which file, by what programs call their predictions."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from structdiff.errors import InputError
from structdiff.evaluation.residue_maps import made_from
from structdiff.evaluation.structure_files import stem, structure_files
from structdiff.evaluation.subject import subject_names

#: Where the part of a name begins that a program puts after the name of its input: ``_model_0`` of Boltz and the
#: AlphaFold Server, ``_seed-1_sample-0_model`` of AlphaFold 3, ``_seed_1_sample_0`` of Protenix,
#: ``_unrelaxed_rank_001`` of ColabFold, ``.model_idx_0`` of Chai-1.
_ENDING = re.compile(r"(?:^|[_.])(?:seed|sample|model|unrelaxed|relaxed|rank|ranked)(?=[-_.]|$)")
#: What is left of names that say nothing of the input, which the folder does then: ``pred.model_idx_0``, ``model``.
_SAYS_NOTHING = ("", "pred")
_SERVER = "fold_"  # how names of the AlphaFold Server begin
_FOLDERS = 3  # how far out the folder of an input may be: NAME/seed-1_sample-0/model.cif, NAME/trunk_0/pred....cif


def references_of(path: Path, files: Sequence[Path]) -> dict[str, Path]:
    """The true structure of each file by the file's name: a single file for all, or one of the same name in a folder.

    A prediction called NAME_1, as ours are, has that of NAME_1 or else that of NAME, the input's name; so have those
    of other programs, of whose names the input's is the beginning, or that lie in a folder called so. Raises InputError
    where there is no such path, and where a folder holds none for any file.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError("no such file or folder", path=path, key="reference")
        return {"": path}
    there = {stem(each): each for each in structure_files([path])}
    folded = {name.casefold(): each for name, each in there.items()}  # AlphaFold 3 writes names in small letters
    found: dict[str, Path] = {}
    for name, file in zip(subject_names(files), files, strict=True):
        names = list(_names(file))
        own = next((there[each] for each in names if each in there), None)
        if own is None and len(folded) == len(there):
            own = next((folded[each.casefold()] for each in names if each.casefold() in folded), None)
        if own is not None:
            found[name] = own
    if not found:
        raise InputError("no reference has the name of a structure", path=path, key="reference",
                         found=", ".join(list(there)[:3]), allowed=[stem(file) for file in files][:3])  # fmt: skip
    return found


def _names(file: Path) -> Iterator[str]:
    """What the true structure of a file may be called, the likeliest first."""
    own = stem(file)
    yield own
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        yield str(made_from(file)["name"])
    if numbered := re.fullmatch(r"(.+)_\d+", own):
        yield numbered[1]
    for ending in reversed(list(_ENDING.finditer(own))):
        name = own[: ending.start()]
        if name in _SAYS_NOTHING:
            yield from (folder.name for folder in file.absolute().parents[:_FOLDERS])
        else:
            yield name
            if name.startswith(_SERVER):
                yield name.removeprefix(_SERVER)
