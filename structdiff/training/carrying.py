"""Training state in few bytes, so that a run can go on elsewhere: numbers of 8 to 16 bits that share a scale.

    python -m structdiff.training.carrying pack RUN OUT --max-mebibytes 60
    python -m structdiff.training.carrying unpack OUT RUN

A checkpoint holds 16 bytes a parameter: weights, their moving average, two moments of the gradient. Here the second
moment of a matrix is kept as its means over rows and columns (Shazeer & Stern 2018), the first starts at zero again,
which is a warm-up of ten steps, and the average is kept as its small difference from the weights. How many bits the
numbers get follows from the room there is. What is no matrix is kept as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from structdiff.errors import InputError
from structdiff.structure.files import write_atomically
from structdiff.training.resuming import CHECKPOINT_FILE

_BLOCK = 64
_PIECE = 15 * 2**20
_INDEX = "state.json"


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Bits for the weights, and for the average's difference; 0: the average alone is kept, in place of the weights."""

    weights: int
    average: int

    def bytes(self, numbers: int) -> float:
        """About how many bytes so many parameters take, scales included."""
        return numbers * ((self.weights + self.average) / 8 + (2 + 2 * bool(self.average)) / _BLOCK)


#: From good to scarce: 3.06, 2.56, 2.03, 1.53 and 1.03 bytes a parameter.
LADDER = (
    Ladder(weights=16, average=8),
    Ladder(weights=12, average=8),
    Ladder(weights=16, average=0),
    Ladder(weights=12, average=0),
    Ladder(weights=8, average=0),
)


def quantised(values: Tensor, bits: int) -> dict[str, Tensor]:
    """Whole numbers of 8, 12 or 16 bits and, for each 64 of them, a scale in float16: {"bytes", "scale"}."""
    flat = values.detach().float().flatten()
    blocks = torch.nn.functional.pad(flat, (0, -len(flat) % _BLOCK)).unflatten(0, (-1, _BLOCK))
    top = 2 ** (bits - 1) - 1
    # The scale is of a block's largest size over a reference for the tensor, so that float16 reaches small ones too.
    reference = blocks.abs().max().clamp(min=1e-30)
    share = (blocks.abs().amax(1) / reference).clamp(min=2.0**-14)
    scale = torch.nextafter(share.half(), torch.tensor(2.0, dtype=torch.float16))  # never below what it must hold
    whole = (blocks / (scale.float() * reference)[:, None] * top).round().clamp(-top, top).to(torch.int32)
    raw = _as_bytes(whole.flatten().numpy(), bits)
    return {"bytes": torch.from_numpy(raw), "scale": scale, "reference": reference[None]}


def restored(stored: dict[str, Tensor], shape: torch.Size, bits: int) -> Tensor:
    """What :func:`quantised` stored."""
    whole = torch.from_numpy(_from_bytes(stored["bytes"].numpy(), bits)).unflatten(0, (-1, _BLOCK))
    top = 2 ** (bits - 1) - 1
    flat = (whole * (stored["scale"].float() * stored["reference"] / top)[:, None]).flatten()
    return flat[: shape.numel()].reshape(shape)


def _as_bytes(whole: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return whole.astype(np.int8).view(np.uint8)
    if bits == 16:
        return whole.astype("<i2").view(np.uint8)
    pairs = (whole & 0xFFF).reshape(-1, 2).astype(np.uint32)
    word = pairs[:, 0] | pairs[:, 1] << 12
    return np.stack([word & 0xFF, word >> 8 & 0xFF, word >> 16], 1).astype(np.uint8).ravel()


def _from_bytes(raw: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return raw.view(np.int8).astype(np.float32)
    if bits == 16:
        return raw.view("<i2").astype(np.float32)
    three = raw.reshape(-1, 3).astype(np.int32)
    word = three[:, 0] | three[:, 1] << 8 | three[:, 2] << 16
    pairs = np.stack([word & 0xFFF, word >> 12], 1).ravel()
    return np.where(pairs >= 0x800, pairs - 0x1000, pairs).astype(np.float32)


def pack(run: Path, out: Path, max_mebibytes: float) -> Ladder:
    """Writes ``run/last.ckpt`` to ``out`` in pieces of at most 15 MiB that take no more than max_mebibytes together.

    Raises InputError where no number of bits is small enough, or where there is no checkpoint.
    """
    checkpoint = _read(run / CHECKPOINT_FILE)
    state: dict[str, Tensor] = checkpoint["state_dict"]
    numbers = sum(x.numel() for name, x in state.items() if name.startswith("network.") and x.dim() > 1)
    room = max_mebibytes * 2**20 - 2**18  # the index, and the means of the second moment
    rung = next((rung for rung in LADDER if rung.bytes(numbers) + _small(checkpoint) <= room), None)
    if rung is None:
        least = (LADDER[-1].bytes(numbers) + _small(checkpoint)) / 2**20 + 0.25
        message = "too little for this network"
        raise InputError(message, key="max_mebibytes", found=max_mebibytes, allowed=f"{least:.1f} or more")
    payload = save(_stored(state, rung) | _moments(checkpoint))
    out.mkdir(parents=True, exist_ok=True)
    old = {path.name for path in out.glob("state.*")}
    pieces = {f"state.{i:02d}": payload[at : at + _PIECE] for i, at in enumerate(range(0, len(payload), _PIECE))}
    for name, piece in pieces.items():
        write_atomically(out / name, piece)
    kept = {key: value for key, value in checkpoint.items() if key not in ("state_dict", "optimizer_states")}
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    index = {
        "pieces": list(pieces), "sha256": hashlib.sha256(payload).hexdigest(),
        "bits": [rung.weights, rung.average], "checkpoint": kept, "groups": groups,
        "moments": list(checkpoint["optimizer_states"][0]["state"]), "step": _step(checkpoint),
        "shapes": {name: list(tensor.shape) for name, tensor in state.items()},
    }  # fmt: skip
    write_atomically(out / _INDEX, json.dumps(index) + "\n")
    for name in old - set(pieces) - {_INDEX}:
        (out / name).unlink()
    return rung


def unpack(packed: Path, run: Path) -> int:
    """Makes ``run/last.ckpt`` again; returns the number of steps it has taken. Raises InputError for broken pieces."""
    try:
        index = json.loads((packed / _INDEX).read_text())
        payload = b"".join((packed / name).read_bytes() for name in index["pieces"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"no packed training state: {error}", path=packed) from error
    if hashlib.sha256(payload).hexdigest() != index["sha256"]:
        raise InputError("the packed training state is damaged: its checksum differs", path=packed)
    tensors = load(payload)
    bits = Ladder(weights=index["bits"][0], average=index["bits"][1])
    shapes = {name: torch.Size(shape) for name, shape in index["shapes"].items()}
    state = _restored_state(tensors, shapes, bits)
    moments = {}
    for number in index["moments"]:
        second = _second_moment(tensors, number)
        moments[number] = {
            "step": torch.tensor(float(index["step"])), "exp_avg": torch.zeros_like(second), "exp_avg_sq": second,
        }  # fmt: skip
    optimiser = {"state": moments, "param_groups": index["groups"]}
    checkpoint = index["checkpoint"] | {"state_dict": state, "optimizer_states": [optimiser]}
    run.mkdir(parents=True, exist_ok=True)
    partial = run / f".{CHECKPOINT_FILE}.part"
    torch.save(checkpoint, partial)
    partial.replace(run / CHECKPOINT_FILE)
    return int(checkpoint["global_step"])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError("no checkpoint", path=path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _step(checkpoint: dict[str, Any]) -> int:
    return max((int(each["step"]) for each in checkpoint["optimizer_states"][0]["state"].values()), default=0)


def _stored(state: dict[str, Tensor], rung: Ladder) -> dict[str, Tensor]:
    stored = {}
    for name in (name.removeprefix("network.") for name in state if name.startswith("network.")):
        weights, average = state[f"network.{name}"].float(), state[f"ema.{name}"].float()
        if weights.dim() < 2:  # few numbers, and those of the noise level's frequencies must stay what they are
            stored |= {f"network.{name}": weights.clone(), f"ema.{name}": average.clone()}
            continue
        kept = quantised(weights if rung.average else average, rung.weights)
        stored |= {f"weights/{name}/{part}": tensor for part, tensor in kept.items()}
        if rung.average:
            # From the weights as they will be read, so that what rounding took from them is not lost to the average.
            difference = average - restored(kept, weights.shape, rung.weights)
            more = quantised(difference, rung.average)
            stored |= {f"average/{name}/{part}": tensor for part, tensor in more.items()}
    return stored


def _restored_state(tensors: dict[str, Tensor], shapes: dict[str, torch.Size], bits: Ladder) -> dict[str, Tensor]:
    state = {}
    for full, shape in shapes.items():
        if full in tensors:
            state[full] = tensors[full]
            continue
        name = full.removeprefix("network.").removeprefix("ema.")
        state[full] = restored(_parts(tensors, f"weights/{name}"), shape, bits.weights)
        if bits.average and full.startswith("ema."):
            state[full] = state[full] + restored(_parts(tensors, f"average/{name}"), shape, bits.average)
    return state


def _parts(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {part: tensors[f"{name}/{part}"] for part in ("bytes", "scale", "reference")}


def _moments(checkpoint: dict[str, Any]) -> dict[str, Tensor]:
    stored = {}
    for number, moments in checkpoint["optimizer_states"][0]["state"].items():
        second = moments["exp_avg_sq"].float()
        if second.dim() < 2:
            stored[f"second/{number}"] = second.clone()
        else:
            stored |= {f"rows/{number}": second.mean(-1), f"columns/{number}": second.mean(-2)}
    return stored


def _second_moment(tensors: dict[str, Tensor], number: int) -> Tensor:
    if f"second/{number}" in tensors:
        return tensors[f"second/{number}"]
    rows, columns = tensors[f"rows/{number}"], tensors[f"columns/{number}"]
    return rows[..., None] * columns[..., None, :] / rows.mean(-1).clamp(min=1e-30)[..., None, None]


def _small(checkpoint: dict[str, Any]) -> int:
    """Bytes of what is kept whole, names of tensors included."""
    names = 450 * len(checkpoint["state_dict"])
    whole = [*_moments(checkpoint).values(), *(x for x in checkpoint["state_dict"].values() if x.dim() < 2)]
    return sum(tensor.nbytes for tensor in whole) + names


def main() -> None:
    """Packs or unpacks, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    packing.add_argument("run", type=Path)
    packing.add_argument("out", type=Path)
    packing.add_argument("--max-mebibytes", type=float, default=60.0)
    unpacking = commands.add_parser("unpack")
    unpacking.add_argument("packed", type=Path)
    unpacking.add_argument("run", type=Path)
    options = parser.parse_args()
    if options.command == "pack":
        rung = pack(options.run, options.out, options.max_mebibytes)
        print(f"weights in {rung.weights} bits, average in {rung.average} more")
    else:
        print(f"step {unpack(options.packed, options.run)}")


if __name__ == "__main__":
    main()
