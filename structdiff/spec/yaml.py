"""Complexes written as YAML: structdiff's own schema, of which Boltz's input file is a part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from structdiff.spec.alignment_source import named_source
from structdiff.spec.base_pairs import BasePairsSpec
from structdiff.spec.boltz_atoms import check_smiles_atoms
from structdiff.spec.chain import ChainKind, ChainSpec, Modification
from structdiff.spec.complex import BondSpec, ComplexSpec, ConstraintSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.document import Node, document_from_data
from structdiff.spec.document_text import parse_yaml_document
from structdiff.spec.fasta import parse_inline_modifications
from structdiff.spec.input_files import name_from, read_text
from structdiff.spec.own_components import named_components, read_components
from structdiff.spec.template import TemplateSpec
from structdiff.spec.text_source import file_source, source_sha256

_TOP_KEYS = ("version", "name", "seeds", "components", "sequences", "constraints", "templates", "properties")
#: What the request in a prediction's provenance holds beside the keys: which files it was made with.
_RECORDED = ("templates_sha256", "alignments_sha256", "components_sha256", "ligands_sha256")
_CHAIN_KEYS: dict[str, tuple[str, ...]] = {
    "protein": ("id", "sequence", "msa", "paired_msa", "modifications", "cyclic", "description"),
    "dna": ("id", "sequence", "modifications", "cyclic", "description"),
    "rna": ("id", "sequence", "msa", "paired_msa", "modifications", "cyclic", "description"),
    "ligand": ("id", "ccd", "smiles", "sdf", "description"),
}
_TEMPLATE_KEYS = ("cif", "pdb", "chain_id", "template_id", "residue_map", "force", "threshold")


def read_yaml(path: str | Path) -> ComplexSpec:
    """Reads a complex from a YAML file; without a ``name`` in it the file's name becomes the complex's.

    Paths in the file are relative to it. Raises InputError with file, line and key for anything that is unclear.
    """
    path = Path(path)
    return parse_complex(parse_yaml_document(read_text(path), path), name=name_from(path))


def from_dict(data: Mapping[str, Any]) -> ComplexSpec:
    """A complex from plain data of the YAML schema; raises InputError with the key that is wrong."""
    return parse_complex(document_from_data(data), name="complex")


def parse_complex(root: Node, *, name: str) -> ComplexSpec:
    """A complex from the tree of an input file; ``name`` is used when the file gives none. Raises InputError."""
    top = root.fields(_TOP_KEYS, required=("sequences",), unlisted=_RECORDED)
    if "version" in top and top["version"].text() != "1":
        top["version"].fail("unknown version of the input", found=top["version"].text(), allowed=("1",))
    for key in _RECORDED:
        if key in top:
            top[key].check_files(source_sha256)
    places = dict(top)
    components = named_components(top)
    own_codes = tuple(read_components(components))
    chains = []
    for node in top["sequences"].items():
        chain, id_node = _parse_chain(node, own_codes)
        chains.append(chain)
        places.update({f"chain {each}": id_node for each in chain.ids})
    by_id = {each: chain for chain in chains for each in chain.ids}
    bonds: list[BondSpec] = []
    constraints: list[ConstraintSpec] = []
    base_pairs: list[BasePairsSpec] = []
    for node in top["constraints"].items() if "constraints" in top else ():
        with node.located():
            parsed = _parse_constraint(node, by_id)
            check_smiles_atoms(parsed, by_id, node, of_boltz=_is_of_boltz(top))
        if isinstance(parsed, BondSpec):
            bonds.append(parsed)
            places[f"bonds[{len(bonds)}]"] = node
        elif isinstance(parsed, BasePairsSpec):
            base_pairs.append(parsed)
            places[f"base_pairs[{len(base_pairs)}]"] = node
        else:
            constraints.append(parsed)
            places[f"constraints[{len(constraints)}]"] = node
    templates = []
    for place, node in enumerate(top["templates"].items() if "templates" in top else (), start=1):
        templates.append(_parse_template(node))
        places[f"templates[{place}]"] = node
    affinity = _parse_properties(top["properties"]) if "properties" in top else None
    if affinity is not None:
        places["affinity"] = affinity
    with root.located(places):
        return ComplexSpec(
            name=top["name"].text() if "name" in top else name,
            chains=tuple(chains),
            bonds=tuple(bonds),
            constraints=tuple(constraints),
            base_pairs=tuple(base_pairs),
            templates=tuple(templates),
            seeds=tuple(node.integer() for node in top["seeds"].one_or_more()) if "seeds" in top else (),
            components=components,
            affinity=None if affinity is None else affinity.text(),
        )


def _parse_properties(node: Node) -> Node | None:
    """The name of the ligand whose affinity is asked for, None where nothing is; raises InputError for several."""
    binders: list[Node] = []
    for each in node.items():
        _, body = each.only_field(("affinity",))
        binders.append(body.fields(("binder",), required=("binder",))["binder"])
    if len(binders) > 1:
        binders[1].fail("the affinity of one ligand can be asked for", found=f"{len(binders)} binders")
    return binders[0] if binders else None


def _is_of_boltz(top: Mapping[str, Node]) -> bool:
    """Whether a file may be Boltz's: it says its version, and has no key of ours alone."""
    return "version" in top and not any(key in top for key in ("name", "seeds", "components"))


def _parse_chain(node: Node, own_codes: tuple[str, ...]) -> tuple[ChainSpec, Node]:
    kind, body = node.only_field(get_args(ChainKind))
    fields = body.fields(_CHAIN_KEYS[kind], required=("id",) if kind == "ligand" else ("id", "sequence"))
    with body.located(fields):
        sequence, inline = "", ()
        if "sequence" in fields:
            sequence, inline = parse_inline_modifications("".join(fields["sequence"].text().split()), kind)
        listed = tuple(
            _parse_modification(each) for each in (fields["modifications"].items() if "modifications" in fields else ())
        )
        chain = ChainSpec(
            ids=tuple(each.text() for each in fields["id"].one_or_more()),
            kind=kind,  # type: ignore[arg-type]
            sequence=sequence,
            modifications=(*inline, *listed),
            ccd=tuple(each.text() for each in fields["ccd"].one_or_more()) if "ccd" in fields else (),
            smiles=fields["smiles"].text() if "smiles" in fields else None,
            sdf=fields["sdf"].file() if "sdf" in fields else None,
            msa=_sources(fields, "msa"),
            paired_msa=_sources(fields, "paired_msa"),
            cyclic=fields["cyclic"].boolean() if "cyclic" in fields else False,
            description=fields["description"].text() if "description" in fields else "",
            own_codes=own_codes,
        )
    return chain, fields["id"]


def _sources(fields: Mapping[str, Node], key: str) -> tuple[str, ...]:
    return tuple(named_source(each) for each in fields[key].one_or_more()) if key in fields else ()


def _parse_modification(node: Node) -> Modification:
    fields = node.fields(("position", "ccd"), required=("position", "ccd"))
    with node.located(fields):
        return Modification(position=fields["position"].integer(), ccd=fields["ccd"].text())


def _parse_constraint(node: Node, chains: Mapping[str, ChainSpec]) -> BondSpec | BasePairsSpec | ConstraintSpec:
    kind, body = node.only_field(("bond", "pocket", "contact", "base_pairs"))
    if kind == "base_pairs":
        fields = body.fields(("chains", "structure"), required=("chains", "structure"))
        with body.located(fields):
            names = tuple(each.text() for each in fields["chains"].one_or_more())
            return BasePairsSpec(chains=names, structure=fields["structure"].text())
    if kind == "bond":
        fields = body.fields(("atom1", "atom2"), required=("atom1", "atom2"))
        return BondSpec(atom1=_parse_site(fields["atom1"], chains), atom2=_parse_site(fields["atom2"], chains))
    shared = ("max_distance", "force")
    if kind == "contact":
        fields = body.fields(("token1", "token2", *shared), required=("token1", "token2"))
        with body.located(fields):
            return ContactSpec(
                token1=_parse_site(fields["token1"], chains),
                token2=_parse_site(fields["token2"], chains),
                **_parse_strength(fields),
            )
    fields = body.fields(("binder", "contacts", *shared), required=("binder", "contacts"))
    with body.located(fields):
        return PocketSpec(
            binder=fields["binder"].text(),
            contacts=tuple(_parse_site(each, chains) for each in fields["contacts"].items()),
            **_parse_strength(fields),
        )


def _parse_strength(fields: Mapping[str, Node]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "max_distance" in fields:
        found["max_distance"] = fields["max_distance"].number()
    if "force" in fields:
        found["force"] = fields["force"].boolean()
    return found


def _parse_site(node: Node, chains: Mapping[str, ChainSpec]) -> Site:
    parts = node.items()
    if len(parts) not in (2, 3):
        node.fail("a place is [chain, residue] or [chain, residue, atom]; of a ligand also [chain, atom]",
                  found=[part.value if isinstance(part.value, str) else "..." for part in parts])  # fmt: skip
    name = parts[0].text()
    if name not in chains:
        parts[0].fail("there is no such chain", found=name, allowed=list(chains), suggest_from=chains)
    if len(parts) == 3:
        return Site(chain=name, residue=parts[1].integer(), atom=parts[2].text())
    chain = chains[name]
    if chain.kind != "ligand" or (not parts[1].quoted and parts[1].text().isdigit()):
        return Site(chain=name, residue=parts[1].integer())
    if len(chain) > 1:
        node.fail(f"ligand {name} has {len(chain)} components: write [chain, component number, atom]")
    return Site(chain=name, residue=1, atom=parts[1].text())


def _parse_template(node: Node) -> TemplateSpec:
    fields = node.fields(_TEMPLATE_KEYS)
    files = [fields[key] for key in ("cif", "pdb") if key in fields]
    if len(files) != 1:
        node.fail("a template has either 'cif' or 'pdb'", found=f"{len(files)} files")
    with node.located(fields):
        return TemplateSpec(
            path=file_source(files[0]),
            chains=tuple(each.text() for each in fields["chain_id"].one_or_more()) if "chain_id" in fields else (),
            template_chains=(
                tuple(each.text() for each in fields["template_id"].one_or_more()) if "template_id" in fields else ()
            ),
            residue_map=fields["residue_map"].text() if "residue_map" in fields else "",
            force=fields["force"].boolean() if "force" in fields else False,
            threshold=fields["threshold"].number() if "threshold" in fields else None,
        )
