"""Complexes written as YAML and JSON."""

from __future__ import annotations

import json
import os.path
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from structdiff.errors import InputError
from structdiff.packed_files import plain_name
from structdiff.spec.chain import MSA_WORDS, NO_ALIGNMENT, ChainSpec
from structdiff.spec.complex import BondSpec, ComplexSpec, ConstraintSpec, ContactSpec, Site
from structdiff.spec.template import TemplateSpec


def to_dict(spec: ComplexSpec) -> dict[str, Any]:
    """A complex as plain data of the YAML schema; `structdiff.spec.yaml.from_dict` gives the same complex back."""
    found: dict[str, Any] = {"version": 1, "name": spec.name}
    if spec.seeds:
        found["seeds"] = list(spec.seeds)
    if spec.components:
        found["components"] = spec.components[0] if len(spec.components) == 1 else list(spec.components)
    found["sequences"] = [{chain.kind: _chain_to_dict(chain)} for chain in spec.chains]
    constraints = [_bond_to_dict(bond) for bond in spec.bonds]
    constraints += [_constraint_to_dict(constraint) for constraint in spec.constraints]
    constraints += [
        {"base_pairs": {"chains": list(each.chains), "structure": each.structure}} for each in spec.base_pairs
    ]
    if constraints:
        found["constraints"] = constraints
    if spec.templates:
        found["templates"] = [_template_to_dict(template) for template in spec.templates]
    if spec.affinity is not None:
        found["properties"] = [{"affinity": {"binder": spec.affinity}}]
    return found


def to_json(spec: ComplexSpec) -> str:
    """A complex as JSON of the YAML schema."""
    return json.dumps(to_dict(spec), indent=2, ensure_ascii=False)


def write_yaml(spec: ComplexSpec, path: str | Path) -> None:
    """Writes a complex as YAML, whole or not at all; paths in it become relative to the file. Raises InputError."""
    path = Path(path)
    data = to_dict(spec)
    for entry in data["sequences"]:
        for body in entry.values():
            if "sdf" in body:
                body["sdf"] = relative_to_folder(body["sdf"], path.parent)
            for key in ("msa", "paired_msa"):
                if isinstance(body.get(key), list):
                    body[key] = [relative_to_folder(each, path.parent) for each in body[key]]
                elif body.get(key, NO_ALIGNMENT) not in MSA_WORDS:
                    body[key] = relative_to_folder(body[key], path.parent)
    if spec.components:
        own = [relative_to_folder(each, path.parent) for each in spec.components]
        data["components"] = own[0] if len(own) == 1 else own
    for template in data.get("templates", ()):
        for key in ("cif", "pdb"):
            if key in template:
                template[key] = relative_to_folder(template[key], path.parent)
    write_yaml_data(data, path)


def relative_to_folder(path: str, folder: Path) -> str:
    """How to write a path (relative to the working folder, or absolute) in a file of ``folder``."""
    return path if os.path.isabs(path) else Path(os.path.relpath(path, folder)).as_posix()


class _KeysInLines(yaml.SafeDumper):
    """Gives each key of the file a line of its own, which YAML does not where no value is a list."""

    def serialize(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            node.flow_style = False
        super().serialize(node)


def write_yaml_data(data: Mapping[str, Any], path: Path) -> None:
    """Writes plain data as YAML, a key a line and short lists on one, whole or not at all; raises InputError."""
    text = yaml.dump(
        dict(data), Dumper=_KeysInLines, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
    )
    scratch: Path | None = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
            scratch = Path(file.name)
            file.write(text)
        scratch.chmod(0o644)
        scratch.replace(path)
    except OSError as error:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}", path=path) from None


def _chain_to_dict(chain: ChainSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"id": chain.ids[0] if len(chain.ids) == 1 else list(chain.ids)}
    if chain.description:
        found["description"] = chain.description
    if chain.kind == "ligand":
        if chain.ccd:
            found["ccd"] = chain.ccd[0] if len(chain.ccd) == 1 else list(chain.ccd)
        found.update({key: value for key, value in (("smiles", chain.smiles), ("sdf", chain.sdf)) if value})
        return found
    found["sequence"] = chain.sequence
    if chain.modifications:
        found["modifications"] = [{"position": each.position, "ccd": each.ccd} for each in chain.modifications]
    for key, sources in (("msa", chain.msa), ("paired_msa", chain.paired_msa)):
        if sources:
            found[key] = sources[0] if len(sources) == 1 else list(sources)
    if chain.cyclic:
        found["cyclic"] = True
    return found


def _bond_to_dict(bond: BondSpec) -> dict[str, Any]:
    return {"bond": {"atom1": _site_to_list(bond.atom1), "atom2": _site_to_list(bond.atom2)}}


def _constraint_to_dict(constraint: ConstraintSpec) -> dict[str, Any]:
    strength = {"max_distance": constraint.max_distance, "force": constraint.force}
    if isinstance(constraint, ContactSpec):
        tokens = {"token1": _site_to_list(constraint.token1), "token2": _site_to_list(constraint.token2)}
        return {"contact": {**tokens, **strength}}
    contacts = [_site_to_list(site) for site in constraint.contacts]
    return {"pocket": {"binder": constraint.binder, "contacts": contacts, **strength}}


def _site_to_list(site: Site) -> list[str | int]:
    return [site.chain, site.residue] if site.atom is None else [site.chain, site.residue, site.atom]


def _template_to_dict(template: TemplateSpec) -> dict[str, Any]:
    is_pdb = plain_name(Path(template.path)).lower().endswith((".pdb", ".ent"))
    found: dict[str, Any] = {"pdb" if is_pdb else "cif": template.path}
    if template.chains:
        found["chain_id"] = list(template.chains)
    if template.template_chains:
        found["template_id"] = list(template.template_chains)
    if template.residue_map:
        found["residue_map"] = template.residue_map
    if template.force:
        found["force"] = True
    if template.threshold is not None:
        found["threshold"] = template.threshold
    return found
