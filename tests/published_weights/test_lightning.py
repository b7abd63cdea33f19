"""Checkpoints of Lightning: their tensors and settings are read, and nothing in them is run."""

from __future__ import annotations

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from structdiff.errors import InputError
from structdiff.published_weights.lightning import read_lightning


@pytest.fixture
def omegaconf(monkeypatch) -> types.ModuleType:
    """Classes under OmegaConf's names, for the checkpoint to be written with; they are gone when it is read."""
    module = types.ModuleType("omegaconf.dictconfig")

    class DictConfig:
        """Holds its content in nodes, as OmegaConf does, with references back to the parent."""

        def __init__(self, content: dict) -> None:
            self.__dict__["_metadata"] = collections.defaultdict(list, {"key": [1]})
            self.__dict__["_parent"] = None
            self.__dict__["_content"] = {key: self._node(value) for key, value in content.items()}

        def _node(self, value: object) -> object:
            node = DictConfig(value) if isinstance(value, dict) else AnyNode(value)
            node.__dict__["_parent"] = self
            return node

        def __getstate__(self) -> dict:
            return self.__dict__

    class AnyNode:
        def __init__(self, value: object) -> None:
            self.__dict__["_val"] = value

    for each in (DictConfig, AnyNode):
        each.__module__, each.__qualname__ = module.__name__, each.__name__
        setattr(module, each.__name__, each)
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def _attributes(module: types.ModuleType, **values: object) -> dict:
    """A dictionary of a class of its own, as Lightning's settings are."""
    kind = type("AttributeDict", (dict,), {"__module__": module.__name__})
    module.AttributeDict = kind
    made = kind(values)
    made.set_apart = True
    return made


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def forged(path: Path, data: bytes, **members: bytes) -> Path:
    """An archive whose description is the given bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for name, content in members.items():
            archive.writestr(f"archive/data/{name}", content)
    return path


def test_tensors_and_settings(tmp_path: Path, omegaconf: types.ModuleType, monkeypatch) -> None:
    shared = torch.arange(12.0)
    state = OrderedDict(
        whole=torch.randn(3, 4), turned=torch.randn(3, 4).T, part=shared[4:8], scalar=torch.tensor(7),
        half=torch.randn(5).bfloat16(), empty=torch.zeros(0, 3), parameter=torch.nn.Parameter(torch.randn(2)),
    )  # fmt: skip
    settings = {
        "token_s": 384, "args": omegaconf.DictConfig({"heads": 16, "inner": {"rate": 0.5, "name": None}}),
        "names": ("a", True), "steps": [1, 2], "kind": omegaconf.AnyNode, "path": Path("x"),
        "by_default": collections.defaultdict(int, {"a": 1}), "named": _attributes(omegaconf, a=[2]),
    }  # fmt: skip
    path = write(tmp_path / "x.ckpt", {"state_dict": state, "hyper_parameters": settings, "epoch": 3})
    monkeypatch.delitem(sys.modules, "omegaconf.dictconfig")
    checkpoint = read_lightning(path)
    found = checkpoint.tensors("state_dict")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in state.items())
    read = checkpoint.settings("hyper_parameters")
    assert read.pop("path") == ["x"]
    assert read == {
        "token_s": 384, "args": {"heads": 16, "inner": {"rate": 0.5, "name": None}}, "names": ["a", True],
        "steps": [1, 2], "kind": "omegaconf.dictconfig.AnyNode", "by_default": {"a": 1},
        "named": {"a": [2]},
    }  # fmt: skip
    with pytest.raises(InputError, match=r"x\.ckpt: optimizer_states: .*no such part .*state_dict"):
        checkpoint.tensors("optimizer_states")
    with pytest.raises(InputError, match=r"hyper_parameters\.token_s: must be a tensor"):
        checkpoint.tensors("hyper_parameters")
    with pytest.raises(InputError, match="epoch: must be a table"):
        checkpoint.settings("epoch")


def test_tensors_lie_in_the_file_and_writing_to_them_changes_no_file(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ckpt", {"state_dict": {"a": torch.zeros(1000), "b": torch.ones(10)}})
    before = path.read_bytes()
    found = read_lightning(path).tensors("state_dict")
    assert found["a"].untyped_storage().data_ptr() == found["b"].untyped_storage().data_ptr()
    assert found["a"].untyped_storage().nbytes() == len(before)
    found["a"].fill_(3)
    assert path.read_bytes() == before


class _Calls:
    """Pickled as a call of a function."""

    def __init__(self, function, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    "function",
    [os.system, eval, exec, __import__, getattr, os.mkdir, pickle.loads, torch.load, torch.hub.load, io.open],
    ids=lambda function: function.__name__,
)
def test_no_function_is_called(tmp_path: Path, monkeypatch, function, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    mark = tmp_path / "was_run"
    argument = {eval: f"open({str(mark)!r}, 'w')", exec: f"open({str(mark)!r}, 'w')", os.system: f"touch {mark}"}
    called = _Calls(function, argument.get(function, str(mark)))
    data = pickle.dumps({"state_dict": {"a": called}, "hyper_parameters": {"a": called, "b": [called]}}, protocol)
    checkpoint = read_lightning(forged(tmp_path / "x.ckpt", data))
    with pytest.raises(InputError, match=r"state_dict\.a: must be a tensor"):
        checkpoint.tensors("state_dict")
    assert checkpoint.settings("hyper_parameters")["a"] == [argument.get(function, str(mark))]
    assert [each.name for each in tmp_path.iterdir()] == ["x.ckpt"]


def test_what_a_pickle_does_to_functions_is_not_done(tmp_path: Path) -> None:
    """BUILD would set attributes of what find_class gave, for whoever reads the next file."""
    lines = [b"\x80\x02", b"ctorch._utils\n_rebuild_tensor_v2\n", b"N}X\x08\x00\x00\x00__call__K\x01s\x86b."]
    with pytest.raises(InputError, match="cannot be read"):
        read_lightning(forged(tmp_path / "x.ckpt", b"".join(lines)))
    path = write(tmp_path / "y.ckpt", {"state_dict": {"a": torch.ones(2)}})
    assert torch.equal(read_lightning(path).tensors("state_dict")["a"], torch.ones(2))


def _tensor_record(count: int, offset: int, shape: tuple, stride: tuple, storage: str = "FloatStorage") -> bytes:
    """The description of a state_dict of one tensor that says of itself what is given."""

    class Storage:
        pass

    class Writer(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("storage", getattr(torch, storage), "0", "cpu", count) if isinstance(obj, Storage) else None

    buffer = io.BytesIO()
    tensor = _Calls(torch._utils._rebuild_tensor_v2, Storage(), offset, shape, stride, False, OrderedDict())
    Writer(buffer, 2).dump({"state_dict": {"a": tensor}})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("count", "offset", "shape", "stride"),
    [(5, 0, (5,), (1,)), (4, 1, (4,), (1,)), (4, 0, (2, 3), (3, 1)), (4, -1, (2,), (1,)), (4, 0, (2,), (-1,)),
     (4, 0, (2,), (1, 1)), (4, 0, (1 << 40,), (0,)), (4, 0, (-2,), (1,))],
)  # fmt: skip
def test_a_tensor_beyond_its_numbers_is_refused(tmp_path: Path, count, offset, shape, stride) -> None:
    path = forged(
        tmp_path / "x.ckpt", _tensor_record(count, offset, shape, stride), **{"0": struct.pack("4f", *range(4))}
    )
    with pytest.raises(InputError, match=r"state_dict\.a: the file does not hold all numbers"):
        read_lightning(path).tensors("state_dict")


def test_a_tensor_of_strange_numbers_is_refused(tmp_path: Path) -> None:
    for data in (_tensor_record(1, 0, (1,), (1,), "ComplexFloatStorage"), _tensor_record(1, 0, (1.0,), (1,))):
        with pytest.raises(InputError, match="cannot be read"):
            read_lightning(forged(tmp_path / "x.ckpt", data, **{"0": bytes(4)}))


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    path = write(tmp_path / "x.ckpt", {"state_dict": {"a": torch.ones(2000)}})
    whole = path.read_bytes()
    for content in (b"", b"no zip at all", whole[:-100], whole[: len(whole) // 2], pickle.dumps({"a": 1})):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x\.ckpt: no checkpoint of PyTorch"):
            read_lightning(path)
    for data in (b"", b"\x80\x02}", b"garbage", pickle.dumps([1])):
        with pytest.raises(InputError, match=r"x\.ckpt: .*checkpoint"):
            read_lightning(forged(path, data))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"no data\.pkl"):
        read_lightning(path)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_lightning(tmp_path / "nowhere.ckpt")


def test_packed_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", _tensor_record(4, 0, (4,), (1,)))
        archive.writestr("archive/data/0", bytes(16))
    with pytest.raises(InputError, match="data/0 is packed"):
        read_lightning(path)


def test_settings_without_an_end_are_refused(tmp_path: Path) -> None:
    endless: dict = {}
    endless["again"] = endless
    path = write(tmp_path / "x.ckpt", {"hyper_parameters": endless})
    with pytest.raises(InputError, match="without an end"):
        read_lightning(path).settings("hyper_parameters")
