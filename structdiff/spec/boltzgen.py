"""BoltzGen's design specifications (0.3.2) as designs of structdiff; what they ask and we cannot do is an error."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from structdiff.errors import InputError
from structdiff.spec.boltzgen_bonds import read_constraints
from structdiff.spec.boltzgen_files import KEYS, add_file
from structdiff.spec.boltzgen_plan import Plan
from structdiff.spec.boltzgen_sequences import add_sequence
from structdiff.spec.boltzgen_sources import Sources
from structdiff.spec.boltzgen_writing import written
from structdiff.spec.document import Node
from structdiff.spec.document_text import parse_yaml_document
from structdiff.spec.imported import Imported, ReadChains
from structdiff.spec.input_files import read_text

_KINDS = ("protein", "dna", "rna", "ligand", "file")
_TOP = ("entities", "constraints", "leaving_atoms")
_YAML = (".yaml", ".yml")
#: One choice of the files of a specification: the settings of each file entity, by its place in the list.
_Choice = dict[int, Node]


def is_boltzgen(root: Node) -> bool:
    """Whether a document is one of BoltzGen's specifications."""
    return isinstance(root.value, dict) and "entities" in root.value


def read_boltzgen(
    root: Node, read_chains: ReadChains, *, name: str, structure: Path | None = None
) -> dict[str, Imported | InputError]:
    """The designs of a specification by their names, or what is wrong with one of several.

    name: of the specification; read_chains: of its structures; structure: the file of the only one, where it lies
    elsewhere. Where an entity lists several files, of which BoltzGen draws one, there is a design for each. Raises
    InputError.
    """
    top = root.fields(_TOP, required=("entities",))
    if "leaving_atoms" in top and top["leaving_atoms"].items():
        top["leaving_atoms"].fail("structdiff makes no bond that atoms leave for but disulfides and rings",
                                  allowed="to leave it out")  # fmt: skip
    found: dict[str, Imported | InputError] = {}
    choices = list(_choices(top["entities"]))
    for words, choice in choices:
        called = "_".join((name, *words))
        if called in found:
            root.fail("two choices of files are called alike", found=called, allowed="files of different names")
        try:
            found[called] = _design(top, choice, called, Sources(read_chains, structure), several=len(choices) > 1)
        except InputError as error:
            if len(choices) == 1:
                raise
            found[called] = error
    return found


def _design(top: dict[str, Node], choice: _Choice, name: str, sources: Sources, *, several: bool) -> Imported:
    plan = Plan()
    if several:
        plan.tell("BoltzGen draws one of several files for each design, here each has a design of its own")
    for place, entity in enumerate(top["entities"].items()):
        kind, node = entity.only_field(_KINDS)
        if kind == "file":
            given = choice[place]
            source, chains = sources.chains(given.fields(KEYS, required=("path",))["path"])
            add_file(plan, given, chains, source)
        else:
            add_sequence(plan, kind, node)
    if "constraints" in top:
        read_constraints(plan, top["constraints"])
    return written(plan, name, sources)


def _choices(entities: Node) -> Iterator[tuple[list[str], _Choice]]:
    """Every choice of files, with the names of those that were chosen among several."""
    options = {}
    for place, entity in enumerate(entities.items()):
        kind, node = entity.only_field(_KINDS)
        if kind == "file":
            options[place] = [_settings(node, each) for each in _path(node).one_or_more()]
            if not options[place]:
                _path(node).fail("expected a file", found="an empty list", allowed="a path, or a list of several")
    for row in itertools.product(*options.values()):
        words = [word for (word, _), several in zip(row, options.values(), strict=True) if len(several) > 1]
        yield words, {place: node for place, (_, node) in zip(options, row, strict=True)}


def _path(node: Node) -> Node:
    return node.fields(KEYS, required=("path",))["path"]


def _settings(node: Node, path: Node) -> tuple[str, Node]:
    """What a path is called, and the settings of its entity: those of a YAML file of its own take the place of all."""
    name = path.text()
    if Path(name).suffix.lower() not in _YAML:
        return Path(name).stem, dataclasses.replace(node, value={**node.value, "path": path})  # type: ignore[dict-item]
    if len(node.fields(KEYS)) > 1:
        other = next(key for key in node.fields(KEYS) if key != "path")
        node.fail("the file that path names says all, and BoltzGen reads nothing beside it", found=other,
                  allowed="path alone")  # fmt: skip
    nested = Path(path.file())
    return nested.stem, parse_yaml_document(read_text(nested), nested)
