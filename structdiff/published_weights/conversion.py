"""Checkpoints of PyTorch to safetensors, without running anything that is in them."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from structdiff.errors import InputError
from structdiff.structure.files import opened_atomically

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: The one entry of a safetensors file's metadata; several would be written in an order that varies.
METADATA_KEY = "published_weights"


def read_checkpoint(data: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, int | float]]:
    """The tensors of a checkpoint and the numbers beside them; only tensors are read, no code is run.

    Raises InputError when it holds anything else.
    """
    import torch

    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise InputError(f"the weights cannot be read: {error}", key=name) from None
    if not isinstance(content, Mapping):
        raise InputError("a checkpoint must hold tensors by name", key=name, found=type(content).__name__)
    tensors = content.get("model_state_dict", content)
    settings = {} if tensors is content else {key: content[key] for key in content if key != "model_state_dict"}
    if not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise InputError("a checkpoint must hold tensors by name", key=name)
    if not all(isinstance(value, (int, float)) for value in settings.values()):
        raise InputError("beside the tensors only numbers are expected", key=name)
    return {key: value.contiguous() for key, value in tensors.items()}, settings


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name, type, shape and content, whatever file they are in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def safetensors_bytes(tensors: Mapping[str, Tensor], facts: Mapping[str, object]) -> bytes:
    """The content of a safetensors file: the tensors under their published names, and where they are from."""
    from safetensors.torch import save

    return save(dict(tensors), metadata={METADATA_KEY: json.dumps(facts, sort_keys=True)})


def write_safetensors(path: Path, tensors: Iterable[tuple[str, Tensor]], *, dtype: torch.dtype) -> str:
    """Writes tensors to a safetensors file one after the other, whole or not at all, without a copy of all in memory.

    Those that fill whole lines of a processor's cache (64 bytes) come first, so that each of them begins on one where
    the file is mapped into memory. Gives the SHA-256 of the file. Raises InputError where it cannot be written.
    """
    import torch

    names, line = {torch.float32: "F32", torch.bfloat16: "BF16"}, 64
    ordered = sorted(tensors, key=lambda item: (item[1].numel() * dtype.itemsize % line != 0, item[0]))
    header, end = {}, 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * dtype.itemsize
        header[name] = {"dtype": names[dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % line)
    digest = hashlib.sha256()
    with opened_atomically(path) as file:
        for piece in _pieces(text, (tensor for _, tensor in ordered), dtype):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _pieces(header: bytes, tensors: Iterable[Tensor], dtype: torch.dtype) -> Iterator[bytes | memoryview]:
    import torch

    yield len(header).to_bytes(8, "little") + header
    for tensor in tensors:
        whole = tensor.detach().to("cpu", dtype).contiguous()
        yield whole.reshape(-1).view(torch.uint8).numpy().data


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors of a fetched file and what is known of them. Raises InputError when it is damaged or not readable."""
    from safetensors import SafetensorError, safe_open

    try:
        path.open("rb").close()  # safetensors says of all that it cannot open that it is not there
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None

    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})[METADATA_KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        message = "this file of weights is damaged; fetch it again (structdiff weights fetch NAME --overwrite)"
        raise InputError(message, path=path, found=str(error)[:80]) from None
