"""What Protenix has beside the AlphaFold Server in its jobs: ligands of three kinds, bonds, contacts and pockets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from structdiff.chemistry.components import component_from_sdf, numbered_smiles_atoms
from structdiff.spec.chain import ChainSpec
from structdiff.spec.complex import BondSpec, ConstraintSpec, ContactSpec, PocketSpec, Site
from structdiff.spec.document import Node

_BONDS, _CONSTRAINT, _ASSEMBLY = "covalent_bonds", "constraint", "assembly_id"
#: assembly_id says which assembly of a PDB entry the sequences were taken from, and asks nothing.
JOB_KEYS = (_BONDS, _CONSTRAINT, _ASSEMBLY)
_PARTS = ("entity", "copy", "position", "atom")
_KEYS = tuple(f"{part}{end}" for end in (1, 2) for part in _PARTS)
_OLD_KEYS = tuple(f"{side}_{part}" for side in ("left", "right") for part in _PARTS)
_NEEDED = {"bond": ("entity", "position", "atom"), "contact": ("entity", "copy", "position")}
_CCD, _FILE = "CCD_", "FILE_"
_FILES = (".sdf", ".mol", ".mol2")
#: Letters and digits of a short text that only a code has: elements of SMILES without brackets are B, C, N, O, ...
_CODE = re.compile(r"(?=.*[^BCNOPSFI0-9])[A-Z0-9]{1,5}")


def parse_ligand(node: Node) -> dict[str, Any]:
    """How a ligand is given, as arguments of `ChainSpec`: CCD codes, a file, or a SMILES string. Raises InputError."""
    text = node.text()
    if text.startswith(_CCD):
        return {"ccd": tuple(text.removeprefix(_CCD).split("_"))}
    if text.startswith(_FILE):
        file = Node(value=text.removeprefix(_FILE), quoted=True, path=node.path, line=node.line, key=node.key)
        if not text.lower().endswith(_FILES):
            node.fail("ligands are read of SDF, MOL and MOL2 files", found=text, allowed=_FILES)
        return {"sdf": file.file()}
    if _CODE.fullmatch(text):
        node.fail("this is no SMILES; a code of the CCD is written with CCD_ before it", found=text,
                  allowed=f"{_CCD}{text}")  # fmt: skip
    return {"smiles": text}


def parse_job(
    top: Mapping[str, Node], chains: Sequence[ChainSpec]
) -> tuple[tuple[ChainSpec, ...], dict[str, Any], dict[str, Node]]:
    """The chains, some of them closed to rings; what else is asked, as arguments of `ComplexSpec`; where that stands.

    The places go by the names that errors about a complex use. Raises InputError.
    """
    if _ASSEMBLY in top:
        top[_ASSEMBLY].text()
    bonds: list[BondSpec] = []
    rings: set[str] = set()
    places: dict[str, Node] = {}
    for node in top[_BONDS].items() if _BONDS in top else ():
        for bond in _parse_bond(node, chains):
            if _closes(bond, chains):
                rings.add(bond.atom1.chain)
                continue
            bonds.append(bond)
            places[f"bonds[{len(bonds)}]"] = node
    constraints: list[ConstraintSpec] = []
    asked = top[_CONSTRAINT].fields(("contact", "pocket")) if _CONSTRAINT in top else {}
    for node in asked["contact"].items() if "contact" in asked else ():
        constraints.append(_parse_contact(node, chains))
        places[f"constraints[{len(constraints)}]"] = node
    if "pocket" in asked:
        constraints.append(_parse_pocket(asked["pocket"], chains))
        places[f"constraints[{len(constraints)}]"] = asked["pocket"]
    with top.get(_BONDS, top["sequences"]).located():
        closed = tuple(part for chain in chains for part in _with_rings(chain, rings))
    return closed, {"bonds": tuple(bonds), "constraints": tuple(constraints)}, places


def _closes(bond: BondSpec, chains: Sequence[ChainSpec]) -> bool:
    """Whether a bond is the amide between both ends of a protein, which networks know as a ring."""
    chain = next(chain for chain in chains if bond.atom1.chain in chain.ids)
    ends = {(site.chain, site.residue, site.atom) for site in (bond.atom1, bond.atom2)}
    name = bond.atom1.chain
    return chain.kind == "protein" and ends == {(name, 1, "N"), (name, len(chain), "C")}


def _with_rings(chain: ChainSpec, rings: set[str]) -> Iterator[ChainSpec]:
    """The chain, or its copies that are rings and those that are not, in their order."""
    for cyclic, ids in groupby(chain.ids, rings.__contains__):
        yield dataclasses.replace(chain, ids=tuple(ids), cyclic=cyclic)


def _parse_bond(node: Node, chains: Sequence[ChainSpec]) -> list[BondSpec]:
    """One bond, or one for each pair of copies where no copies are named."""
    is_old = isinstance(node.value, dict) and any(key in _OLD_KEYS for key in node.value)
    keys = _OLD_KEYS if is_old else _KEYS
    fields = node.fields(keys, required=[key for key in keys if key.strip("12").split("_")[-1] in _NEEDED["bond"]])
    ends = [{part: fields[key] for part, key in zip(_PARTS, half, strict=True) if key in fields}
            for half in (keys[:4], keys[4:])]  # fmt: skip
    if ("copy" in ends[0]) != ("copy" in ends[1]):
        node.fail("a copy is named of one end alone: name both, or none for a bond between each pair of copies")
    sites = [_sites(end, chains) for end in ends]
    if len(sites[0]) != len(sites[1]):
        node.fail("the entities have not equally many copies: say which are bonded (copy1, copy2)",
                  found=" and ".join(str(len(each)) for each in sites))  # fmt: skip
    with node.located():
        return [BondSpec(atom1=one, atom2=other) for one, other in zip(*sites, strict=True)]


def _parse_contact(node: Node, chains: Sequence[ChainSpec]) -> ContactSpec:
    needed = [key for key in _KEYS if key[:-1] in _NEEDED["contact"]]
    fields = node.fields((*_KEYS, "max_distance", "min_distance"), required=(*needed, "max_distance"))
    if "min_distance" in fields and fields["min_distance"].number() != 0:
        fields["min_distance"].fail("contacts have no least distance; leave the key out",
                                    found=fields["min_distance"].text(), allowed="0")  # fmt: skip
    ends = [{part: fields[f"{part}{end}"] for part in _PARTS if f"{part}{end}" in fields} for end in (1, 2)]
    (token1,), (token2,) = (_sites(end, chains) for end in ends)
    with node.located(fields):
        return ContactSpec(token1=token1, token2=token2, max_distance=fields["max_distance"].number())


def _parse_pocket(node: Node, chains: Sequence[ChainSpec]) -> PocketSpec:
    keys = ("binder_chain", "contact_residues", "max_distance")
    fields = node.fields(keys, required=keys)
    binder = fields["binder_chain"].fields(_PARTS[:2], required=_PARTS[:2])
    residues = [each.fields(_PARTS[:3], required=_PARTS[:3]) for each in fields["contact_residues"].items()]
    contacts = [site for each in residues for site in _sites(each, chains)]
    (name,) = _copies(binder, _entity(binder["entity"], chains))
    with node.located(fields):
        return PocketSpec(binder=name, contacts=tuple(contacts), max_distance=fields["max_distance"].number())


def _sites(end: Mapping[str, Node], chains: Sequence[ChainSpec]) -> list[Site]:
    """A place in the named copy of an entity, or in all its copies."""
    chain = _entity(end["entity"], chains)
    residue = end["position"].integer()
    if not 1 <= residue <= len(chain):
        end["position"].fail("this entity has no such position", found=residue, allowed=f"1 to {len(chain)}")
    atom = _atom(end["atom"], chain) if "atom" in end else None
    return [Site(chain=name, residue=residue, atom=atom) for name in _copies(end, chain)]


def _entity(node: Node, chains: Sequence[ChainSpec]) -> ChainSpec:
    number = node.integer()
    if not 1 <= number <= len(chains):
        node.fail("there is no such entity", found=number, allowed=f"1 to {len(chains)}")
    return chains[number - 1]


def _copies(end: Mapping[str, Node], chain: ChainSpec) -> tuple[str, ...]:
    if "copy" not in end:
        return chain.ids
    number = end["copy"].integer()
    if not 1 <= number <= len(chain.ids):
        end["copy"].fail("this entity has no such copy", found=number, allowed=f"1 to {len(chain.ids)}")
    return (chain.ids[number - 1],)


def _atom(node: Node, chain: ChainSpec) -> str:
    """An atom's name, as it is written, or by its number in a SMILES string or a file."""
    text = node.text()
    if not text.isdecimal():
        return text
    if chain.smiles is not None:
        with node.located():
            names = numbered_smiles_atoms(chain.smiles, f"ligand {chain.ids[0]}")
    elif chain.sdf is not None:
        names = dict(enumerate(component_from_sdf(chain.sdf, "LIG").atom_names.tolist()))
    else:
        node.fail("atoms of this entity go by their names in the CCD", found=text)
    if int(text) not in names:
        node.fail("this ligand has no atom of that number", found=text,
                  allowed=f"{min(names)} to {max(names)}, or a name such as {names[min(names)]}")  # fmt: skip
    return names[int(text)]
