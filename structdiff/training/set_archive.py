"""A training set as one compressed file, to be carried: the same set, in little over half the bytes.

    python -m structdiff.training.set_archive pack DATA data.set
    python -m structdiff.training.set_archive unpack data.set DATA

The bytes of each array are sorted by their place within a number, and by column, before LZMA sees them. What the set
needs of the Chemical Component Dictionary goes with it, so that the machine it goes to need not have it.
"""

from __future__ import annotations

import argparse
import base64
import json
import lzma
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from structdiff.chemistry.bundled import bundled_codes, write_bundled_components
from structdiff.errors import InputError
from structdiff.structure.files import write_atomically
from structdiff.training.command import run_command
from structdiff.training.dataset import StructureSet
from structdiff.training.set_files import COMPONENTS_FILE, residue_names

_MAGIC = b"structdiff set 3\n"


def pack(data: Path, archive: Path) -> int:
    """Writes the set in the folder ``data`` to one file; returns its size in bytes. Raises InputError for no set."""
    StructureSet(data, "train")  # says what is wrong
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in sorted(data.glob("*.npy"))}
    rows = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(data.glob("*.json"))}
    header = json.dumps({"arrays": rows, "texts": texts, "components": _components(data)}).encode()
    plain = len(header).to_bytes(8, "little") + header + b"".join(_planes(array) for array in arrays.values())
    packed = _MAGIC + lzma.compress(plain, preset=6)
    write_atomically(archive, packed)
    return len(packed)


def _components(data: Path) -> str:
    """Those of the set that do not come with structdiff, as the text of a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / COMPONENTS_FILE
        write_bundled_components(residue_names(data) - bundled_codes(), file)
        return base64.b64encode(file.read_bytes()).decode()


def unpack(archive: Path, data: Path) -> None:
    """Makes the set's folder again, whole or not at all. Raises InputError where the file is broken."""
    try:
        packed = archive.read_bytes()
        if not packed.startswith(_MAGIC):
            raise InputError("is no packed training set", path=archive)
        plain = lzma.decompress(packed[len(_MAGIC) :])
        end = 8 + int.from_bytes(plain[:8], "little")
        header = json.loads(plain[8:end])
    except (OSError, lzma.LZMAError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path=archive) from error
    partial = data.with_name(f".{data.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, code, shape in header["arrays"]:
        dtype = np.dtype(code)
        size = dtype.itemsize * int(np.prod(shape))
        np.save(partial / f"{name}.npy", _from_planes(plain[end : end + size], dtype, shape))
        end += size
    for name, text in header["texts"].items():
        (partial / Path(name).name).write_text(text, encoding="utf-8")
    (partial / COMPONENTS_FILE).write_bytes(base64.b64decode(header["components"]))
    shutil.rmtree(data, ignore_errors=True)
    os.replace(partial, data)


def _planes(array: np.ndarray) -> bytes:
    columns = np.ascontiguousarray(array.reshape(len(array), -1).T) if array.size else array
    return columns.view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes()


def _from_planes(raw: bytes, dtype: np.dtype, shape: list[int]) -> np.ndarray:
    numbers = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1).T
    flat = np.ascontiguousarray(numbers).view(dtype).ravel()
    if not flat.size:
        return flat.reshape(shape)
    return np.ascontiguousarray(flat.reshape(-1, shape[0]).T).reshape(shape)


def main(arguments: Sequence[str] | None = None) -> int:
    """Packs or unpacks, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("pack", "unpack"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args(arguments)

    def run() -> str:
        if options.command == "pack":
            return f"{pack(options.source, options.target) / 2**20:.1f} MiB"
        unpack(options.source, options.target)
        return f"{options.target} written"

    return run_command(run, again="nothing was written")


if __name__ == "__main__":
    sys.exit(main())
