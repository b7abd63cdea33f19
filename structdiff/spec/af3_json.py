"""Complexes written as JSON for AlphaFold 3 and for the AlphaFold Server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from structdiff.errors import InputError
from structdiff.spec.af3_alignments import FOLDER_KEY, PAIRED_KEYS, UNPAIRED_KEYS, chain_alignments, paired_alignments
from structdiff.spec.af3_templates import chain_templates
from structdiff.spec.chain import ChainKind, ChainSpec, Modification, chain_letters
from structdiff.spec.complex import ComplexSpec
from structdiff.spec.document import Node
from structdiff.spec.document_text import parse_json_document
from structdiff.spec.input_files import read_text
from structdiff.spec.json_bonds import parse_bond
from structdiff.spec.own_components import AF3_PATH, AF3_TEXT, af3_components, read_components
from structdiff.spec.protenix import JOB_KEYS, parse_job, parse_ligand
from structdiff.spec.server_glycans import server_glycans
from structdiff.spec.template import TemplateSpec

_TOP_KEYS = (
    "name", "modelSeeds", "sequences", "bondedAtomPairs", AF3_TEXT, AF3_PATH, "dialect", "version",
)  # fmt: skip
_CHAIN_KEYS: dict[str, tuple[str, ...]] = {
    "protein": (
        "id", "sequence", "modifications", "description", *UNPAIRED_KEYS, *PAIRED_KEYS, "templates",
    ),
    "rna": ("id", "sequence", "modifications", "description", *UNPAIRED_KEYS),
    "dna": ("id", "sequence", "modifications", "description"),
    "ligand": ("id", "ccdCodes", "smiles", "description"),
}  # fmt: skip
_SERVER_KINDS: dict[str, ChainKind] = {
    "proteinChain": "protein", "rnaSequence": "rna", "dnaSequence": "dna", "ligand": "ligand", "ion": "ligand",
}  # fmt: skip
#: What Protenix, whose jobs are written as the Server's, has beside them.
_PROTENIX = ("id", *UNPAIRED_KEYS)
_SERVER_KEYS: dict[str, tuple[str, ...]] = {
    "proteinChain": (
        "sequence", "glycans", "modifications", "count", "maxTemplateDate", "useStructureTemplate", "templates",
        *_PROTENIX, *PAIRED_KEYS, FOLDER_KEY, "templatesPath",
    ),
    "rnaSequence": ("sequence", "modifications", "count", *_PROTENIX),
    "dnaSequence": ("sequence", "modifications", "count", "id"),
    "ligand": ("ligand", "count", "id"),
    "ion": ("ion", "count", "id"),
}  # fmt: skip


def read_af3_json(path: str | Path) -> tuple[ComplexSpec, ...]:
    """Reads the complexes of an AlphaFold 3 or AlphaFold Server JSON file (the Server's may hold several).

    Raises InputError with file, line and key for what is wrong and for what structdiff cannot honour.
    """
    path = Path(path)
    return parse_af3_document(parse_json_document(read_text(path), path))


def parse_af3_document(root: Node) -> tuple[ComplexSpec, ...]:
    """The complexes of an AlphaFold 3 document: one, or the list of jobs of the AlphaFold Server. Raises InputError."""
    return all_or_error(parse_each_job(root))


def parse_each_job(root: Node) -> tuple[ComplexSpec | InputError, ...]:
    """The same, with the error of each job of a list in its place. Raises InputError for what is no such document."""
    if not root.is_list:
        return (_parse_complex(root),)
    jobs = tuple(map(_job_or_error, root.items()))
    if not jobs:
        root.fail("the list of jobs is empty")
    return jobs


def all_or_error(jobs: Sequence[ComplexSpec | InputError]) -> tuple[ComplexSpec, ...]:
    """The complexes; raises the first error among them."""
    for job in jobs:
        if isinstance(job, InputError):
            raise job
    return tuple(job for job in jobs if isinstance(job, ComplexSpec))


def _job_or_error(node: Node) -> ComplexSpec | InputError:
    try:
        return _parse_server_job(node)
    except InputError as error:
        return error


def _parse_complex(root: Node) -> ComplexSpec:
    top = root.fields(_TOP_KEYS, required=("dialect", "version", "sequences"))
    dialect, version = top["dialect"], top["version"]
    if dialect.text() != "alphafold3":
        hint = "; a file of the AlphaFold Server is a list of jobs: put it in []" if "server" in dialect.text() else ""
        dialect.fail(f"unknown dialect{hint}", found=dialect.text(), allowed=("alphafold3",))
    if version.integer() not in (1, 2, 3, 4):
        version.fail("unknown version", found=version.integer(), allowed=(1, 2, 3, 4))
    components = af3_components(top)
    own_codes = tuple(read_components(components))
    places = _with_seeds(top)
    chains: list[ChainSpec] = []
    templates: list[TemplateSpec] = []
    for node in top["sequences"].items():
        kind, body = node.only_field(tuple(_CHAIN_KEYS))
        fields = body.fields(_CHAIN_KEYS[kind], required=("id",))
        with body.located(_renamed(fields)):
            chains.append(_parse_chain(kind, fields, own_codes))
        places.update({f"chain {each}": fields["id"] for each in chains[-1].ids})
        for own in chain_templates(fields, chains[-1].ids):
            templates.append(own)
            places[f"templates[{len(templates)}]"] = fields["templates"]
    bonds = []
    for node in top["bondedAtomPairs"].items() if "bondedAtomPairs" in top else ():
        bonds.append(parse_bond(node))
        places[f"bonds[{len(bonds)}]"] = node
    with root.located(places):
        return ComplexSpec(name=_name(top), chains=tuple(chains), bonds=tuple(bonds), templates=tuple(templates),
                           seeds=_seeds(top), components=components)  # fmt: skip


def _renamed(fields: Mapping[str, Node]) -> dict[str, Node]:
    """The fields under the names that errors about a chain use."""
    names = {"ccdCodes": "ccd", **dict.fromkeys((*PAIRED_KEYS, *UNPAIRED_KEYS), "msa")}
    return {names.get(key, key): node for key, node in fields.items()}


def _parse_chain(kind: str, fields: Mapping[str, Node], own_codes: tuple[str, ...]) -> ChainSpec:
    return ChainSpec(
        ids=tuple(each.text() for each in fields["id"].one_or_more()),
        kind=kind,  # type: ignore[arg-type]
        sequence=fields["sequence"].text() if "sequence" in fields else "",
        modifications=_parse_modifications(fields),
        ccd=tuple(each.text() for each in fields["ccdCodes"].items()) if "ccdCodes" in fields else (),
        smiles=fields["smiles"].text() if "smiles" in fields else None,
        msa=chain_alignments(kind, fields),
        paired_msa=paired_alignments(fields),
        description=fields["description"].text() if "description" in fields else "",
        own_codes=own_codes,
    )


def _parse_modifications(fields: Mapping[str, Node]) -> tuple[Modification, ...]:
    found = []
    for node in fields["modifications"].items() if "modifications" in fields else ():
        keys = ("ptmType", "ptmPosition", "modificationType", "basePosition")
        parts = node.fields(keys)
        kind, place = keys[:2] if "ptmType" in parts or "ptmPosition" in parts else keys[2:]
        for key in (kind, place):
            if key not in parts:
                node.fail(f"the key {key!r} is missing", allowed=keys)
        with node.located():
            ccd = parts[kind].text().removeprefix("CCD_")
            found.append(Modification(position=parts[place].integer(), ccd=ccd))
    return tuple(found)


def _name(top: Mapping[str, Node]) -> str:
    return re.sub(r"[/\\]", "_", top["name"].text()) if "name" in top else "complex"


def _seeds(top: Mapping[str, Node]) -> tuple[int, ...]:
    return tuple(node.integer() for node in top["modelSeeds"].items()) if "modelSeeds" in top else ()


def _with_seeds(top: Mapping[str, Node]) -> dict[str, Node]:
    """The fields, and the seeds under the name that errors about a complex use."""
    return dict(top) | ({"seeds": top["modelSeeds"]} if "modelSeeds" in top else {})


def _parse_server_job(root: Node) -> ComplexSpec:
    top = root.fields(("name", "modelSeeds", "sequences", "dialect", "version", *JOB_KEYS), required=("sequences",))
    if "dialect" in top and top["dialect"].text() != "alphafoldserver":
        top["dialect"].fail("unknown dialect in a list of jobs", found=top["dialect"].text(),
                            allowed=("alphafoldserver",))  # fmt: skip
    if "version" in top and top["version"].integer() != 1:
        top["version"].fail("unknown version", found=top["version"].integer(), allowed=(1,))
    taken = _given_ids(top["sequences"])
    names = (name for name in chain_letters() if name not in taken)
    chains: list[ChainSpec] = []
    templates: list[TemplateSpec] = []
    template_places: dict[str, Node] = {}
    glycans: list[tuple[Node, ChainSpec]] = []
    for node in top["sequences"].items():
        entity, body = node.only_field(tuple(_SERVER_KINDS))
        kind = _SERVER_KINDS[entity]
        needed = entity if kind == "ligand" else "sequence"
        fields = body.fields(_SERVER_KEYS[entity], required=(needed,))
        _refuse_server_extras(fields)
        count = fields["count"].integer() if "count" in fields else 1
        if count < 1:
            fields["count"].fail("there must be at least one copy", found=count)
        with body.located(fields):
            chains.append(
                ChainSpec(
                    ids=_server_ids(fields, names, count),
                    kind=kind,
                    sequence=fields["sequence"].text() if "sequence" in fields else "",
                    modifications=_parse_modifications(fields),
                    msa=chain_alignments(kind, fields),
                    paired_msa=paired_alignments(fields),
                    **_server_ligand(entity, fields),
                )
            )
        for own in chain_templates(fields, chains[-1].ids):
            templates.append(own)
            template_places[f"templates[{len(templates)}]"] = fields["templates"]
        if "glycans" in fields:
            glycans.append((fields["glycans"], chains[-1]))
    # Named last, so that other chains are called what they are without glycans.
    sugars = [server_glycans(node, chain, names) for node, chain in glycans]
    closed, asked, places = parse_job(top, chains)
    asked["bonds"] += tuple(bond for _, bonds in sugars for bond in bonds)
    closed += tuple(chain for own, _ in sugars for chain in own)
    with root.located(_with_seeds(top) | places | template_places):
        return ComplexSpec(name=_name(top), chains=closed, templates=tuple(templates), seeds=_seeds(top), **asked)


def _given_ids(sequences: Node) -> set[str]:
    """The names that Protenix gives to copies; none for what is malformed, which is refused later."""
    bodies = [body.value for node in sequences.items() if isinstance(node.value, dict) for body in node.value.values()]
    given = [body["id"] for body in bodies if isinstance(body, dict) and "id" in body]
    return {str(each.value) for node in given for each in node.one_or_more()}


def _server_ligand(entity: str, fields: Mapping[str, Node]) -> dict[str, Any]:
    """How a ligand or an ion is given; nothing for other molecules."""
    if entity == "ion":
        return {"ccd": (fields[entity].text().removeprefix("CCD_"),)}
    return parse_ligand(fields[entity]) if entity == "ligand" else {}


def _server_ids(fields: Mapping[str, Node], names: Iterator[str], count: int) -> tuple[str, ...]:
    """The names that Protenix may give to copies, else the next letters."""
    if "id" not in fields:
        return tuple(islice(names, count))
    found = tuple(each.text() for each in fields["id"].one_or_more())
    if len(found) != count:
        fields["id"].fail("there must be a name for each copy", found=len(found), allowed=str(count))
    return found


def _refuse_server_extras(fields: Mapping[str, Node]) -> None:
    if "templatesPath" in fields:
        fields["templatesPath"].fail("alignments to templates are not read; leave the key out, or list structures "
                                     "under 'templates' of a YAML input")  # fmt: skip
    # Any answer to the next two holds: templates are not searched for.
    if "useStructureTemplate" in fields:
        fields["useStructureTemplate"].boolean()
    if "maxTemplateDate" in fields:
        _check_date(fields["maxTemplateDate"])


def _check_date(node: Node) -> None:
    try:
        date.fromisoformat(node.text())
    except ValueError:
        node.fail("expected a date", found=node.text(), allowed="YYYY-MM-DD")
