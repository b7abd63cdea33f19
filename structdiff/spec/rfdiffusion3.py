"""RFdiffusion3's JSON as designs of structdiff; what it can ask and we cannot do is an error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from structdiff.errors import InputError
from structdiff.spec.document_text import parse_json_document
from structdiff.spec.imported import Imported
from structdiff.spec.input_files import read_text
from structdiff.spec.symmetry import parse_symmetry

_BACKBONE = {"N", "CA", "C", "O"}
_INERT = ("extra", "plddt_enhanced", "is_non_loopy", "allow_ligand_on_existing_chain")
_REFUSED = {
    "select_buried": "burial gives B, P or E for each residue of a designed chain",
    "select_partially_buried": "burial gives B, P or E for each residue of a designed chain",
    "select_exposed": "burial gives B, P or E for each residue of a designed chain",
    "select_hbond_donor": "hotspots name residues to be touched",
    "select_hbond_acceptor": "hotspots name residues to be touched",
    "ori_token": "hotspots say where a binder goes",
    "atom_array_input": "a file as input",
    "cif_parser_args": "a file that needs no arguments",
}
_READ = (
    "input", "contig", "unindex", "length", "ligand", "select_fixed_atoms", "select_unfixed_sequence",
    "select_hotspots", "redesign_motif_sidechains", "symmetry", "partial_t",
)  # fmt: skip
_STRATEGIES = ("com", "hotspots")
_SECTIONS = ("inference", "contigmap")  # of RFdiffusion's own settings, which have fields called length and symmetry
_KNOWN = ("dialect", "infer_ori_strategy", *_READ, *_INERT, *_REFUSED)


def read_designs(path: Path) -> dict[str, Imported | InputError]:
    """The designs of an RFdiffusion3 JSON or YAML file by their names, or what is wrong with each.

    Raises InputError for a file that holds none.
    """
    data = _content(path)
    if not isinstance(data, Mapping) or not data:
        raise InputError("expected designs by their names", path=path, found=type(data).__name__)
    single = any(key in _KNOWN for key in data)
    named = {path.stem: data} if single else {str(key) or path.stem: value for key, value in data.items()}
    return {name: _design_or_error(spec, name, path) for name, spec in named.items()}


class _Loader(yaml.SafeLoader):
    """YAML in which no key may stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _content(path: Path) -> object:
    text = read_text(path)
    if path.suffix.lower() == ".json":
        parse_json_document(text, path)  # tells what is wrong with the line
        return json.loads(text)
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"this is not YAML: {said}", path=path, line=mark.line + 1 if mark else None) from None


def _design_or_error(spec: object, name: str, path: Path) -> Imported | InputError:
    try:
        return design_from_rfdiffusion3(spec, name=name)
    except InputError as error:
        return InputError(f"{name}: {error}", path=path)


def is_rfdiffusion3(data: object) -> bool:
    """Whether the content of a file looks like RFdiffusion3's: designs by their names, or one design."""
    if not isinstance(data, Mapping) or any(section in data for section in _SECTIONS):
        return False
    rows = [data, *(value for value in data.values() if isinstance(value, Mapping))]
    return any(key in _READ for row in rows for key in row)


def design_from_rfdiffusion3(spec: object, *, name: str) -> Imported:
    """The design of one of RFdiffusion3's input specifications (dialect 2); raises InputError."""
    if not isinstance(spec, Mapping):
        raise InputError("expected the settings of a design", found=spec)
    _check(spec)
    given = {key: value for key, value in spec.items() if value is not None}
    found = Imported(data={"version": 1, "name": name})
    if "input" in given:
        found.data["motif"] = str(given["input"])
    if "ligand" in given:
        found.data["ligands"] = _names(given["ligand"])
    if "partial_t" in given:
        _partial(given, found)
    else:
        _contigs(given, found)
        _fixed_atoms(given, found)
    if "length" in given and "contig" in given:
        found.data["length"] = str(given["length"])
    if given.get("redesign_motif_sidechains"):
        found.data["fixed_sequence"] = False
    if "select_unfixed_sequence" in given and "partial_t" not in given:
        found.data["redesign"] = _selected(given, "select_unfixed_sequence")
    if "select_hotspots" in given:
        found.data["hotspots"] = _selected(given, "select_hotspots")
        if isinstance(given["select_hotspots"], Mapping):
            found.notes.append("select_hotspots: whole residues are hotspots here, not single atoms")
    strategy = given.get("infer_ori_strategy")
    if strategy == "hotspots" and "hotspots" not in found.data:
        raise InputError("there are no hotspots to begin at", key="infer_ori_strategy", found=strategy,
                         allowed="select_hotspots beside it")  # fmt: skip
    if strategy == "com":
        found.notes.append("infer_ori_strategy: where a design begins is not chosen here, motif and hotspots lead it")
    if "symmetry" in given:
        found.data["symmetry"] = _symmetry(given, found)
    inert = [key for key in _INERT if key in given]
    if inert:
        found.notes.append(f"has no counterpart: {', '.join(inert)}")
    return found


def _check(spec: Mapping) -> None:
    for key, value in spec.items():
        if key not in _KNOWN:
            raise InputError("RFdiffusion3 has no such field", key="fields", found=str(key), suggest_from=_KNOWN)
        if key in _REFUSED and value:
            raise InputError("structdiff cannot do this", key=key, found=value, allowed=_REFUSED[key])
    if spec.get("infer_ori_strategy") not in (None, *_STRATEGIES):
        raise InputError("unknown strategy", key="infer_ori_strategy", found=spec["infer_ori_strategy"],
                         allowed=_STRATEGIES)  # fmt: skip
    if spec.get("dialect", 2) != 2:
        raise InputError("only dialect 2 is read", key="dialect", found=spec["dialect"])


def _contigs(given: Mapping, found: Imported) -> None:
    if "unindex" in given:
        named = given["unindex"]
        found.data["unindexed"] = "/".join(_names(list(named) if isinstance(named, Mapping) else named))
    if "contig" in given:
        found.data["contigs"] = _contig(str(given["contig"]))
    elif "length" in given:
        found.data["contigs"] = str(given["length"])
    else:
        raise InputError("neither contig nor length is given", key="contig", allowed="50-80,/0,A1-100, say")
    if "motif" in found.data and not ("contig" in given or "unindex" in given or "ligand" in given):
        raise InputError("nothing is taken from the input", key="input", found=found.data["motif"])


def _contig(text: str) -> str:
    chains: list[list[str]] = [[]]
    for piece in _names(text):
        if piece.replace("\\", "/") == "/0":
            chains.append([])
        else:
            chains[-1].append(piece)
    return " ".join("/".join(row) for row in chains if row)


def _fixed_atoms(given: Mapping, found: Imported) -> None:
    asked = given.get("select_fixed_atoms", True)
    selections = dict(asked) if isinstance(asked, Mapping) else {}
    if isinstance(given.get("unindex"), Mapping):
        selections = {**given["unindex"], **selections}
    if not isinstance(asked, Mapping) and asked is not True:
        raise InputError("what contig and unindex name is always held", key="select_fixed_atoms", found=asked,
                         allowed="true, or atoms by residues")  # fmt: skip
    ligands = set(found.data.get("ligands", ()))
    for residues, atoms in selections.items():
        if residues in ligands:
            if ",".join(_names(atoms)).upper() != "ALL":
                found.notes.append(f"select_fixed_atoms: {residues} is held with all its atoms")
            continue
        key, names = _atoms(str(residues), ",".join(_names(atoms)))
        if key is not None:
            found.data.setdefault(key, []).extend(names)


def _atoms(residues: str, atoms: str) -> tuple[str | None, list[str]]:
    """Our key for a choice of atoms, None where all are held."""
    word = atoms.strip().upper()
    names = {piece.strip() for piece in word.split(",") if piece.strip()}
    if word == "ALL":
        return None, []
    if word == "TIP":
        return "tip", _names(residues)
    if word == "BKBN" or names == _BACKBONE:
        return "backbone_only", _names(residues)
    if not names:
        raise InputError("a residue of which nothing is held is no motif", key="select_fixed_atoms",
                         found=f"{residues}: {atoms!r}", allowed="ALL, BKBN, TIP, or atoms")  # fmt: skip
    named = "/".join(dict.fromkeys(piece.strip() for piece in word.split(",") if piece.strip()))
    return "held_atoms", [f"{residue}={named}" for residue in _names(residues)]


def _partial(given: Mapping, found: Imported) -> None:
    for key in ("contig", "unindex", "length"):
        if key in given:
            raise InputError("partial diffusion begins with the whole input", key=key, found=given[key])
    if "input" not in given:
        raise InputError("there is no structure to begin with", key="partial_t", allowed="an input")
    found.data["noise"] = f"{float(given['partial_t']):g}"
    if given.get("select_fixed_atoms"):
        if given["select_fixed_atoms"] is True:
            raise InputError("all is held: nothing is left to change", key="select_fixed_atoms", found=True)
        found.data["hold"] = _selected(given, "select_fixed_atoms")
    if "select_unfixed_sequence" in given:
        raise InputError("structdiff says which residues keep their types", key="select_unfixed_sequence",
                         found=given["select_unfixed_sequence"], allowed="keep_sequence, written by hand")  # fmt: skip


def _symmetry(given: Mapping, found: Imported) -> str:
    asked = given["symmetry"]
    fields = dict(asked) if isinstance(asked, Mapping) else {"id": asked}
    symmetry = parse_symmetry(str(fields.pop("id", "")))
    if fields.pop("is_unsym_motif", None):
        raise InputError("structdiff cannot leave parts of a design out of its symmetry", key="symmetry.is_unsym_motif")
    symmetric_motif = fields.pop("is_symmetric_motif", False)
    if fields:
        raise InputError("RFdiffusion3 has no such field", key=f"symmetry.{min(fields)}")
    if symmetric_motif and "motif" in found.data:
        symmetry = dataclasses.replace(symmetry, motif_copies=True)
    return str(symmetry)


def _selected(given: Mapping, key: str) -> list[str]:
    asked = given[key]
    if isinstance(asked, bool):
        raise InputError("name the residues", key=key, found=asked, allowed="A20-35, say")
    return list(_residues(asked))


def _residues(asked: Any) -> Iterator[str]:
    if isinstance(asked, Mapping):
        asked = ",".join(map(str, asked))
    yield from _names(asked)


def _names(value: Any) -> list[str]:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return [piece.strip() for piece in text.split(",") if piece.strip()]
