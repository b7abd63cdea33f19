"""``structdiff import``: designs written for RFdiffusion, RFdiffusion3 and BoltzGen, as YAML of structdiff."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from structdiff.cli.examples import example_lines
from structdiff.cli.options import message_options, with_options
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.spec.design import DesignSpec
    from structdiff.spec.document import Node
    from structdiff.spec.imported import Imported, KnownStructure

_FAILED = 2


@with_options(message_options())
def import_designs(
    source: Annotated[
        list[str],
        typer.Argument(help="Shell script, Hydra, RFD3 or BoltzGen file; or RFdiffusion's settings, name=value.",
                       metavar="FILE|NAME=VALUE...", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="YAML file to write; a folder where the source holds several designs.",
                     show_default="NAME.yaml"),
    ] = None,
    pdb: Annotated[
        Path | None, typer.Option("--pdb", help="The input structure, where the source names another place.")
    ] = None,
    **given: bool,
) -> int:  # fmt: skip
    """Turn what was written for RFdiffusion or BoltzGen into a design of structdiff. What cannot be done is an error.

    Of several designs in a file those that can be done are written, and the others are named.
    """
    found = {name: _checked(name, each, source) for name, each in _read(source, pdb).items()}
    if len(found) > 1 and out is not None and out.suffix:
        raise InputError("the source holds several designs: name a folder", key="out", found=str(out))
    designs = {name: each for name, each in found.items() if not isinstance(each, InputError)}
    errors = [each for each in found.values() if isinstance(each, InputError)]
    paths = _places(list(designs), out, source) if designs else []
    for (imported, design), path in zip(designs.values(), paths, strict=True):
        _write(imported, _with_motif(imported, design, path, pdb, out), path, quiet=given["quiet"])
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if len(found) > 1 and errors and not given["quiet"]:
        print(f"{len(designs)} of {len(found)} designs written")
    return _FAILED if errors else 0


def _checked(name: str, imported: Imported | InputError, source: list[str]) -> tuple[Imported, DesignSpec] | InputError:
    """What was read with the design that it makes, or what is wrong with it."""
    from structdiff.spec.design import design_from_dict

    if isinstance(imported, InputError):
        return imported
    try:
        return imported, design_from_dict(imported.data)
    except InputError as error:
        return InputError(f"{name}: {error}", path=_file(source))


def _with_motif(imported: Imported, design: DesignSpec, path: Path, pdb: Path | None, out: Path | None) -> DesignSpec:
    """A design with the place of its structure where one was given, or which is put together here from its parts.

    path: where the design goes; out: what --out named. Raises InputError where a file would be replaced unasked.
    """
    from structdiff.spec.imported import MOTIF_FILE
    from structdiff.structure.files import write_structure
    from structdiff.structure.known_chains import motif_of_parts

    if not imported.parts:
        return design if pdb is None or design.motif is None else dataclasses.replace(design, motif=str(pdb))
    motif = path.with_name(f"{path.stem}{MOTIF_FILE}")
    if motif.exists() and path != out:
        raise InputError("a file of the motif's name is here already: --out names a design whose motif to replace",
                         path=motif)  # fmt: skip
    structure = motif_of_parts(imported.parts, path.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_structure(structure, motif)
    return dataclasses.replace(design, motif=str(motif))


def _write(imported: Imported, design: DesignSpec, path: Path, *, quiet: bool) -> None:
    """Writes a design, and says what is otherwise than asked."""
    from structdiff.spec.design import write_design

    path.parent.mkdir(parents=True, exist_ok=True)
    write_design(design, path)
    if quiet:
        return
    for note in imported.notes:
        print(f"note: {note}")
    if design.motif is not None and not Path(design.motif).is_file():
        print(f"note: {design.motif} is not here; give its place with --pdb, or change motif in {path}")
    options = [word for option in imported.options.items() for word in option]
    print(f"{path}: {shlex.join(['structdiff', 'design', str(path), *options])}")


def _places(names: list[str], out: Path | None, source: list[str]) -> list[Path]:
    """Where the design of each name is written.

    Raises InputError where that would replace the source, or a file that was not named by --out.
    """
    from structdiff.spec.file_name import check_spelling

    named = out is not None and bool(out.suffix)
    places = [out] if out is not None and named else [(out or Path()) / f"{name}.yaml" for name in names]
    read = _file(source)
    for place, path in enumerate(places):
        check_spelling(names[place], names[:place], read or path)
        if read is not None and path.resolve() == read.resolve():
            raise InputError("the design would take the place of what it is read from: name another --out", path=path)
        if path.exists() and not named:
            raise InputError("a file of the design's name is here already: --out names a file to replace", path=path)
    return places


def _file(source: list[str]) -> Path | None:
    """The file that is read, None for settings."""
    return Path(source[0]) if len(source) == 1 and Path(source[0]).suffix and "=" not in source[0] else None


def _read(source: list[str], pdb: Path | None) -> Mapping[str, Imported | InputError]:
    """The designs of a file or of settings by their names, or what is wrong with one of several."""
    from structdiff.spec.boltzgen import is_boltzgen, read_boltzgen
    from structdiff.spec.input_files import name_from
    from structdiff.spec.rfdiffusion import design_from_rfdiffusion
    from structdiff.spec.rfdiffusion3 import is_rfdiffusion3, read_designs
    from structdiff.spec.rfdiffusion_command import parse_command, parse_overrides, read_settings
    from structdiff.structure.known_chains import known_chains

    path = _file(source)
    if path is not None:
        root = _document(path)
        if root is not None and is_boltzgen(root):
            return read_boltzgen(root, known_chains, name=name_from(path), structure=pdb)
        if path.suffix.lower() == ".json" or (
            path.suffix.lower() in (".yaml", ".yml") and is_rfdiffusion3(_data(path))
        ):
            return _beside(read_designs(path), path.parent)
        settings = read_settings(path)
    else:
        files = [word for word in source if "=" not in word and Path(word).is_file()]
        if files:
            raise InputError("a file is imported by itself, settings with it go to structdiff design", key="source",
                             found=" ".join(source), allowed=files[0])  # fmt: skip
        plain = any("run_inference.py" in word for word in source)
        command = source[0] if len(source) == 1 else shlex.join(source)
        settings = parse_command(command) if plain else parse_overrides(source)
    motif = settings.get("inference.input_pdb")
    beside = None if path is None or motif is None else path.parent / motif
    if beside is not None and motif is not None and not Path(motif).is_file() and beside.is_file():
        settings["inference.input_pdb"] = motif = str(beside)
    place = pdb or (Path(motif) if motif else None)
    there = place is not None and place.is_file()
    imported = design_from_rfdiffusion(settings, structure=(lambda: _known(place)) if there and place else None)
    return {imported.data["name"]: imported}


def _document(path: Path) -> Node | None:
    """The tree of a YAML or JSON file, None for what is neither, and for Hydra's settings that are no such document.

    Raises InputError for a file that cannot be read, and one of a program that is not read here.
    """
    from structdiff.spec.document_text import parse_json_document, parse_yaml_document
    from structdiff.spec.foreign_inputs import refuse_fasta, refuse_foreign
    from structdiff.spec.input_files import read_text

    refuse_fasta(path)
    parsers = {".json": parse_json_document, ".yaml": parse_yaml_document, ".yml": parse_yaml_document}
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        return None
    try:
        root = parse(read_text(path), path)
    except InputError:
        data = _data(path)
        if data is None or (isinstance(data, Mapping) and "entities" in data):
            raise
        return None
    refuse_foreign(root, imports=True)
    return root


def _beside(designs: Mapping[str, Imported | InputError], folder: Path) -> Mapping[str, Imported | InputError]:
    """The same with input structures that lie beside the file; RFdiffusion3 looks for them there."""
    for each in designs.values():
        if isinstance(each, InputError):
            continue
        motif = each.data.get("motif")
        if motif is not None and (folder / motif).is_file():
            each.data["motif"] = str(folder / motif)
    return designs


def _data(path: Path) -> object:
    import yaml

    from structdiff.spec.input_files import read_text

    try:
        return yaml.safe_load(read_text(path))
    except yaml.YAMLError:
        return None


def _known(path: Path) -> KnownStructure:
    """The residues of a structure and their CA."""
    import numpy as np

    from structdiff.spec.imported import KnownStructure
    from structdiff.structure.files import read_structure
    from structdiff.structure.motif_residues import motif_residues

    structure = read_structure(path)
    rows = motif_residues(structure)
    positions = np.full((len(rows), 3), np.nan)
    for place, row in enumerate(rows.values()):
        atoms = structure.residue_atoms(row)
        alpha = np.flatnonzero((structure.atoms.name[atoms] == "CA") & structure.atoms.resolved[atoms])
        if len(alpha):
            positions[place] = structure.atoms.positions[atoms][alpha[0]]
    return KnownStructure(residues=tuple(rows), positions=positions)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "import",
        context_settings={"ignore_unknown_options": True},  # Hydra's --config-name is RFdiffusion's, not ours
        epilog=example_lines(
            "structdiff import design_motifscaffolding.sh --out site_v.yaml",
            "structdiff import inference.input_pdb=5TPN.pdb 'contigmap.contigs=[10-40/A163-181/10-40]'",
            "structdiff import rfd3.json --out designs",
            "structdiff import nanobody.yaml --out nanobody_design.yaml",
        ),
    )(import_designs)
