"""Checkpoints of Lightning read without running anything in them: tensors mapped from the file, settings as plain data.

Such a file is a zip archive: ``data.pkl`` describes everything, ``data/NUMBER`` holds the numbers of the tensors. The
description may name any class or function of any package. Here each of them becomes an inert stand-in that keeps what
it was given; none is imported, and nothing but `collections.OrderedDict` is called that was not written for this.
"""

from __future__ import annotations

import math
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
from torch import Tensor

from structdiff.errors import InputError

#: What a storage of the pickle holds, by the name of its class.
_STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
#: How deep settings may be nested: objects that hold each other have no end.
_DEEPEST = 40


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint as it was read. content: its dictionary, with `TensorRecord` and `Inert` in place of objects."""

    path: Path
    content: Mapping[str, object]
    offsets: Mapping[str, tuple[int, int]]  # where the numbers of each storage begin, and how many bytes there are

    def tensors(self, key: str) -> dict[str, Tensor]:
        """The tensors by name under a key such as ``state_dict``; they lie in the file, not in memory, until used.

        Raises InputError where there is anything but tensors, or numbers are missing.
        """
        records = self._value(key)
        if not isinstance(records, Mapping) or not records:
            raise InputError("must hold tensors by name", path=self.path, key=key, found=type(records).__name__)
        mapped = cast(Any, torch.UntypedStorage.from_file(str(self.path), False, self.path.stat().st_size))
        return {str(name): self._tensor(f"{key}.{name}", record, mapped) for name, record in records.items()}

    def settings(self, key: str) -> dict[str, Any]:
        """The settings under a key such as ``hyper_parameters``, whatever classes held them: see `plain`."""
        values = plain(self._value(key), path=self.path, key=key)
        if not isinstance(values, dict):
            raise InputError("must be a table of settings", path=self.path, key=key, found=type(values).__name__)
        return values

    def _value(self, key: str) -> object:
        if key not in self.content:
            raise InputError("this checkpoint has no such part", path=self.path, key=key, allowed=list(self.content))
        return self.content[key]

    def _tensor(self, key: str, record: object, mapped: torch.UntypedStorage) -> Tensor:
        if not isinstance(record, TensorRecord):
            raise InputError("must be a tensor", path=self.path, key=key, found=type(record).__name__)
        storage = record.storage
        begin, num_bytes = self.offsets.get(storage.key, (0, 0))
        if storage.count * storage.dtype.itemsize > num_bytes or not record.fits:
            raise InputError("the file does not hold all numbers of this tensor", path=self.path, key=key)
        if begin % storage.dtype.itemsize:
            raise InputError("the numbers of this tensor do not lie on a whole place", path=self.path, key=key)
        begin = begin // storage.dtype.itemsize + record.offset
        return torch.empty(0, dtype=storage.dtype).set_(mapped, begin, record.shape, record.stride)  # pyright: ignore[reportCallIssue, reportArgumentType]


def read_lightning(path: Path) -> Checkpoint:
    """Reads what a checkpoint of Lightning holds. Tensors stay in the file until they are used.

    Raises InputError for a file that is damaged, cut short, or no such checkpoint.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            root = next((name[: -len("data.pkl")] for name in members if name.endswith("data.pkl")), None)
            if root is None:
                raise InputError("no checkpoint of PyTorch: there is no data.pkl in it", path=path)
            order = archive.read(f"{root}byteorder") if f"{root}byteorder" in members else b"little"
            if order.decode("ascii", "replace").strip() != sys.byteorder:
                raise InputError("its numbers are in an order of bytes that is not read", path=path, found=order)
            with archive.open(f"{root}data.pkl") as described:
                content = _Reader(described).load()
            offsets = dict(_offsets(file, members, f"{root}data/"))
    except zipfile.BadZipFile as error:
        message = f"no checkpoint of PyTorch, or one that was cut short: {error}"
        raise InputError(message, path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    except _UNREADABLE as error:
        raise InputError(f"the checkpoint cannot be read: {error}", path=path) from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise InputError("a checkpoint must hold its parts by name", path=path, found=type(content).__name__)
    return Checkpoint(path=path, content=content, offsets=offsets)


#: What the description of a damaged or forged file makes Python's unpickler raise.
_UNREADABLE = (
    pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, ImportError, OverflowError,
    struct.error, MemoryError, RuntimeError,
)  # fmt: skip


def _offsets(
    file: IO[bytes], members: Mapping[str, zipfile.ZipInfo], folder: str
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where in the file each storage begins: behind its member's own header, whose length only that header tells."""
    size = file.seek(0, 2)
    for name, member in members.items():
        if not name.startswith(folder):
            continue
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is packed")
        file.seek(member.header_offset + 26)
        of_name, of_extra = struct.unpack("<HH", file.read(4))
        begin = member.header_offset + 30 + of_name + of_extra
        if begin + member.file_size > size:
            raise ValueError(f"{name} is cut short")
        yield name[len(folder) :], (begin, member.file_size)


class Inert:
    """Stands for an object of a class that is not known here; keeps what it was given and does nothing.

    arguments: of its constructor. state: what would have been its attributes. items: what would have been put into it.
    """

    class_name = ""

    def __new__(cls, *arguments: object, **named: object) -> Inert:  # noqa: D102 - also called by NEWOBJ
        made = super().__new__(cls)
        made.__dict__.update(arguments=(*arguments, *named.values()), state=None, items=[])
        return made

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        self.__dict__["state"] = state

    def __setitem__(self, key: object, value: object) -> None:
        self.__dict__["items"].append((key, value))

    def append(self, value: object) -> None:
        """Keeps an element, by its number."""
        self[len(self.__dict__["items"])] = value

    def add(self, value: object) -> None:
        """Keeps an element, by its number."""
        self.append(value)


class _Storage(NamedTuple):
    # Like TensorRecord a tuple: the pickle cannot change one that is made.
    key: str
    dtype: torch.dtype
    count: int


class TensorRecord(NamedTuple):
    """A tensor as the pickle describes it: numbers from an offset on in a storage, their shape and strides."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def fits(self) -> bool:
        """Whether every number of it lies inside its storage."""
        if len(self.shape) != len(self.stride) or min((self.offset, *self.shape, *self.stride)) < 0:
            return False
        if 0 in self.shape:
            return True
        reach = sum((length - 1) * step for length, step in zip(self.shape, self.stride, strict=True))
        return self.offset + reach < self.storage.count and math.prod(self.shape) <= self.storage.count


class _Call:
    """A function that the pickle may call. Neither it nor its kinds have attributes that the pickle could change."""

    __slots__ = ()


class _RebuildTensor(_Call):
    __slots__ = ()

    def __call__(self, storage: object, offset: object, shape: object, stride: object, *_: object) -> TensorRecord:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without numbers")
        return TensorRecord(storage, _whole(offset), _whole_numbers(shape), _whole_numbers(stride))


class _RebuildParameter(_Call):
    __slots__ = ()

    def __call__(self, data: object, *_: object) -> object:
        return data


def _whole(value: object) -> int:
    if type(value) is not int:
        raise pickle.UnpicklingError("a tensor's place must be told by whole numbers")
    return value


def _whole_numbers(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list):
        raise pickle.UnpicklingError("a tensor's shape must be told by whole numbers")
    return tuple(map(_whole, values))


_CALLED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
}


class _Reader(pickle.Unpickler):
    """Python's unpickler, for which there is no class but those above: every other name gets a stand-in of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._stand_ins: dict[tuple[str, str], type[Inert]] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        """What stands for a class or function; it is never looked up."""
        known = _CALLED.get((module, name))
        if known is not None:
            return known
        if (module, name) not in self._stand_ins:  # new for each file: what one file does to it no other sees
            self._stand_ins[module, name] = type("Inert", (Inert,), {"class_name": f"{module}.{name}"})
        return self._stand_ins[module, name]

    def persistent_load(self, pid: Any, /) -> _Storage:
        """A storage: ``("storage", class, key, place, count)``."""
        kind, storage, key, _, count = pid
        module, _, name = getattr(storage, "class_name", "").rpartition(".")
        if kind != "storage" or module not in ("torch", "torch.storage") or not isinstance(key, str):
            raise pickle.UnpicklingError("a reference to something outside that is no storage")
        if name not in _STORAGES:
            raise pickle.UnpicklingError(f"numbers of a kind that is not read: {name}")
        return _Storage(key, _STORAGES[name], _whole(count))


def plain(value: object, *, path: Path | None = None, key: str = "", depth: int = 0) -> Any:
    """Settings as dictionaries, lists, strings and numbers, whatever held them.

    OmegaConf's nodes give their content, other objects their attributes or, without any, their arguments; a class gives
    its name. Raises InputError for what has no end.
    """
    if depth > _DEEPEST:
        raise InputError("the settings of the checkpoint are nested without an end", path=path, key=key)
    if value is None or isinstance(value, bool | int | float | str):
        return value

    def inner(item: object) -> Any:
        return plain(item, path=path, key=key, depth=depth + 1)

    if isinstance(value, Mapping):
        return {name if isinstance(name, str) else str(inner(name)): inner(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [inner(item) for item in value]
    if isinstance(value, Inert):
        return inner(_held(value))
    if isinstance(value, type) and issubclass(value, Inert):
        return value.class_name
    return type(value).__name__  # a tensor, or bytes: no setting that anything here reads


def _held(stand_in: Inert) -> object:
    """What a stand-in holds, as the one that wrote the file would see it."""
    kept = stand_in.__dict__
    state, items = kept["state"], kept["items"]
    attributes = state if isinstance(state, Mapping) else {}
    for node in ("_content", "_val"):  # OmegaConf's containers and values; all else in them is about them
        if node in attributes:
            return attributes[node]
    return dict(items) or attributes or list(kept["arguments"])
