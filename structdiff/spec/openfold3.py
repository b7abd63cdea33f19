"""Complexes written as JSON for OpenFold 3: each of its queries is one, under its own name."""

from __future__ import annotations

import dataclasses

from structdiff.errors import InputError
from structdiff.spec.complex import ComplexSpec, PocketSpec, Site
from structdiff.spec.document import Node
from structdiff.spec.json_bonds import parse_bond
from structdiff.spec.openfold3_alignments import USE_KEYS
from structdiff.spec.openfold3_chain import parse_chain

#: The key by which such a file is known.
QUERIES = "queries"
_TOP_KEYS = (QUERIES, "seeds")
_QUERY_KEYS = ("query_name", "chains", *USE_KEYS, "covalent_bonds", "leaving_atoms", "pocket_constraint")
_POCKET_KEYS = ("ligand_chain_id", "pocket_residues", "max_distance")
_POCKET_DISTANCE = 4.0  # Å, where the file says none: OpenFold 3's own
#: Of versions before the first release.
_DICTIONARY = "ccd_file_path"


def is_query_set(root: Node) -> bool:
    """Whether a document is written for OpenFold 3."""
    return isinstance(root.value, dict) and QUERIES in root.value


def parse_each_query(root: Node) -> tuple[ComplexSpec | InputError, ...]:
    """The complexes of a document, with the error of each wrong query in its place. Raises InputError for the rest."""
    top = root.fields((*_TOP_KEYS, _DICTIONARY), required=(QUERIES,))
    if _DICTIONARY in top:
        top[_DICTIONARY].fail("whole dictionaries are not read; leave the key out for the CCD, give the ligand as SDF "
                              "(sdf_file_path), or write YAML, where components name your own")  # fmt: skip
    queries = top[QUERIES].value
    if not isinstance(queries, dict) or not queries:
        top[QUERIES].fail("expected the chains of at least one query under its name")
    seeds = tuple(node.integer() for node in top["seeds"].items()) if "seeds" in top else ()
    lines = top[QUERIES].key_lines
    found: list[ComplexSpec | InputError] = []
    for name, node in queries.items():
        places = {"name": dataclasses.replace(node, line=lines.get(name)), "seeds": top.get("seeds", node)}
        try:
            found.append(_parse_query(name, node, seeds, places))
        except InputError as error:
            found.append(error)
    return tuple(found)


def _parse_query(name: str, node: Node, seeds: tuple[int, ...], places: dict[str, Node]) -> ComplexSpec:
    query = node.fields(_QUERY_KEYS, required=("chains",))
    if "query_name" in query and query["query_name"].text() != name:
        query["query_name"].fail("a query is called after its key; leave this out", allowed=name,
                                 found=query["query_name"].text())  # fmt: skip
    for each in query["leaving_atoms"].items() if "leaving_atoms" in query else ():
        each.fail("which atoms leave is not chosen (docs/input.md says which do); leave the key out, or give the "
                  "ligand as it is when it is bound")  # fmt: skip
    chains, templates = [], []
    for each in query["chains"].items():
        chain, its_templates, fields = parse_chain(each, query)
        chains.append(chain)
        places.update({f"chain {chain_id}": fields["chain_ids"] for chain_id in chain.ids})
        for template in its_templates:
            templates.append(template)
            places[f"templates[{len(templates)}]"] = fields["template_cif_paths"]
    bonds = []
    for each in query["covalent_bonds"].items() if "covalent_bonds" in query else ():
        bonds.append(parse_bond(each))
        places[f"bonds[{len(bonds)}]"] = each
    pockets = []
    if "pocket_constraint" in query:
        pockets.append(_parse_pocket(query["pocket_constraint"]))
        places["constraints[1]"] = query["pocket_constraint"]
    with node.located(places):
        return ComplexSpec(
            name=name, chains=tuple(chains), bonds=tuple(bonds), constraints=tuple(pockets),
            templates=tuple(templates), seeds=seeds,
        )  # fmt: skip


def _parse_pocket(node: Node) -> PocketSpec:
    fields = node.fields(_POCKET_KEYS, required=_POCKET_KEYS[:2])
    sites = []
    for each in fields["pocket_residues"].items():
        parts = each.items()
        if len(parts) != 2:
            each.fail("a residue is [chain, residue]", found=f"{len(parts)} parts")
        sites.append(Site(chain=parts[0].text(), residue=parts[1].integer()))
    with node.located(fields):
        return PocketSpec(
            binder=fields["ligand_chain_id"].text(),
            contacts=tuple(sites),
            max_distance=fields["max_distance"].number() if "max_distance" in fields else _POCKET_DISTANCE,
        )
