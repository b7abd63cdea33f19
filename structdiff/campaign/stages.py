"""The stages of a campaign: each takes pieces of work, writes their files, and gives what is to be recorded of them."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structdiff import pipeline
from structdiff.campaign.allowed_letters import check_layout
from structdiff.campaign.finished_files import read_json
from structdiff.campaign.judging import judge_columns
from structdiff.campaign.measures import (
    backbone_columns,
    designed_chains,
    hotspot_residues,
    refold_columns,
    verdict_columns,
)
from structdiff.campaign.plan import Campaign
from structdiff.campaign.refolding import Refolder, complex_of, named_as_designed, refolder_of, with_target
from structdiff.campaign.sequences import BackboneFiles, Sequenced, read_backbone, renamed_tokens, sequences_for
from structdiff.campaign.work import Work
from structdiff.design_jobs import layout_of
from structdiff.errors import InputError
from structdiff.output.files import json_text, ready_folder, write_design_files
from structdiff.output.prediction import chain_sequences, polymer_kinds, requested
from structdiff.output.tables import score_columns
from structdiff.output.trajectory import write_trajectory
from structdiff.output.whole_target import drawn_part
from structdiff.structure.files import read_structure, write_atomically, write_structure
from structdiff.structure.ligand_sdf import write_ligands
from structdiff.structure.open_residues import open_residues
from structdiff.structure.pdb_text import pdb_text
from structdiff.structure.tables import Structure

if TYPE_CHECKING:
    from structdiff.drawing import OnProgress
    from structdiff.engine import Engine

#: Folders of what is not a finished design: backbones that get other sequences, and structures predicted from them.
BACKBONES, REFOLDED = "backbones", "refolded"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What is to be recorded of finished work: plain data, and the seconds that it took."""

    work: Work
    result: Mapping[str, Any]
    seconds: float


class Bench:
    """What one worker needs for all stages; the network is loaded once, when it is first needed."""

    def __init__(self, campaign: Campaign, folder: Path, *, engine: Engine | None = None) -> None:
        self.campaign, self.folder = campaign, folder
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The network of the run on its device."""
        self._engine = self._engine or pipeline.load_engine(self.campaign.options)
        return self._engine

    @cached_property
    def refolder(self) -> Refolder:
        """What refolds designs."""
        return refolder_of(self.campaign, lambda: self.engine)

    @property
    def backbone_folder(self) -> Path:
        """Where backbones lie: beside the designs, unless they are given other sequences."""
        return self.folder if self.campaign.beside else self.folder / BACKBONES

    def run(self, stage: str, work: Sequence[Work], on_progress: OnProgress | None) -> Iterator[Outcome]:
        """Does work of one stage; each outcome when its files are written."""
        began = time.monotonic()
        stages = {"backbone": self._backbones, "sequence": self._sequences, "judge": self._judge,
                  "refold": self._refold}  # fmt: skip
        for each, result in stages[stage](work, on_progress):
            now = time.monotonic()
            yield Outcome(work=each, result=result, seconds=now - began)
            began = time.monotonic()

    def _backbones(self, work: Sequence[Work], on_progress: OnProgress | None) -> Iterator[tuple[Work, dict]]:
        campaign = self.campaign
        numbers = [each.number for each in work]
        for number in numbers:
            self._check_letters(number)
        found = pipeline.design(
            campaign.spec, options=campaign.options, engine=self.engine, numbers=numbers, on_progress=on_progress
        )
        for each, design in zip(work, found, strict=True):
            if campaign.options.trajectory:
                write_trajectory(design, ready_folder(self.backbone_folder, each.name), each.name)
            written = write_design_files(design, self.backbone_folder, each.name)
            verdicts = [verdict.as_data() for verdict in design.verdicts]
            columns = score_columns(design) | verdict_columns(verdicts)
            columns |= backbone_columns(design.structure, design.residue_map)
            yield each, {"columns": columns, "verdicts": verdicts, "sequences": _sequences_of(design.structure),
                         "note": written.note}  # fmt: skip

    def _check_letters(self, number: int) -> None:
        """Raises InputError for letters asked of residues that a design does not have, before anything is drawn."""
        if text := self.campaign.settings.allow_at:
            spec, layout, motif = layout_of(self.campaign.spec, number)
            check_layout(text, layout, open_residues(spec, layout, motif))

    def _sequences(self, work: Sequence[Work], on_progress: OnProgress | None) -> Iterator[tuple[Work, dict]]:
        for each in work:
            backbone, places = read_backbone(self.backbone_folder, each.parent), self.campaign.places(each.name)
            found = sequences_for(backbone, self.campaign, each.number, places, str(self.engine.device))
            designs = []
            for name, sequenced in zip(self.campaign.design_names(each.number, places), found, strict=True):
                # A design that is its backbone, with the sequence it came with, is written already.
                own = self.campaign.beside and name == each.parent
                note = "" if own else self._write_sequenced(sequenced, name, backbone)
                designs.append({"name": name, "columns": dict(sequenced.columns), "note": note,
                                "sequences": _sequences_of(sequenced.structure)})  # fmt: skip
                if sequenced.verdicts is not None:
                    designs[-1] |= _judged_again(sequenced, backbone)
            yield each, {"designs": designs}

    def _write_sequenced(self, sequenced: Sequenced, name: str, backbone: BackboneFiles) -> str:
        """Writes a backbone with a sequence under its own name; what could not be written, in words."""
        folder, structure = ready_folder(self.folder, name), dataclasses.replace(sequenced.structure, name=name)
        provenance = {**backbone.confidence["provenance"], "sequence": dict(sequenced.record)}
        provenance.pop("judge", None)  # of the backbone where that is a design too
        text = {key: json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else str(value)
                for key, value in provenance.items()}  # fmt: skip
        mean_plddt = backbone.confidence["mean_plddt_0_to_100"]
        write_structure(
            structure, folder / f"{name}.cif", provenance=text, confidence=True, mean_plddt=mean_plddt
        )  # fmt: skip
        write_atomically(folder / f"{name}.residue_map.json", json_text(backbone.residue_map))
        confidence = {**backbone.confidence, "name": name, "provenance": provenance}
        confidence["token_component"] = renamed_tokens(backbone, structure)
        if sequenced.verdicts is not None:
            confidence["verdicts"] = [verdict.as_data() for verdict in sequenced.verdicts]
        write_atomically(folder / f"{name}.confidence.json", json_text(confidence))
        _, lacking = write_ligands(structure, folder, name)
        try:
            write_atomically(folder / f"{name}.pdb", pdb_text(structure, provenance=text))
        except InputError as error:
            return "; ".join(filter(None, (f"no {name}.pdb: {error}", lacking)))
        return lacking

    def _judge(self, work: Sequence[Work], on_progress: OnProgress | None) -> Iterator[tuple[Work, dict]]:
        for each in work:
            design = read_structure(self.folder / f"{each.name}.cif")
            columns = judge_columns(design, self._residue_map(each.name), self.campaign.judges)
            if any(value is not None for value in columns.values()):
                self._record_judge(each.name)
            yield each, {"columns": columns}

    def _record_judge(self, name: str) -> None:
        """Adds the judge to the provenance of a design, whose files may be older than the wish for a judge."""
        path = self.folder / f"{name}.confidence.json"
        confidence = read_json(path)
        confidence["provenance"]["judge"] = dict(self.campaign.asked["judge"]["judge"])
        write_atomically(path, json_text(confidence))

    def _refold(self, work: Sequence[Work], on_progress: OnProgress | None) -> Iterator[tuple[Work, dict]]:
        designs = [read_structure(self.folder / f"{each.name}.cif") for each in work]
        if not self.refolder.whole_target:
            designs = [drawn_part(design, self._residue_map(each.name))
                       for each, design in zip(work, designs, strict=True)]  # fmt: skip
        complexes = [
            with_target(complex_of(design, each.name), self.folder / f"{each.name}.cif", self._residue_map(each.name))
            for each, design in zip(work, designs, strict=True)
        ]
        found = self.refolder.refold(complexes, on_progress)
        for each, design, complex_, refolded in zip(work, designs, complexes, found, strict=True):
            residue_map = self._residue_map(each.name)
            folder = ready_folder(self.folder / REFOLDED, each.name)
            structure = named_as_designed(refolded.structure, design, designed_chains(design, residue_map))
            record = {**refolded.record, **({"target": "template"} if complex_.templates else {})}
            write_structure(structure, folder / f"{each.name}.cif", provenance=record, confidence=True)
            hotspots = hotspot_residues(self.campaign.spec, residue_map)
            columns = refold_columns(design, structure, residue_map, hotspots)
            yield each, {"columns": {**refolded.scores, **columns}}

    def _residue_map(self, name: str) -> dict[str, Any]:
        return read_json(self.folder / f"{name}.residue_map.json")


def _judged_again(sequenced: Sequenced, backbone: BackboneFiles) -> dict[str, Any]:
    """Verdicts on a design with its sequence, and the columns that are measured of its backbone."""
    verdicts = [verdict.as_data() for verdict in sequenced.verdicts or ()]
    measured = backbone_columns(sequenced.structure, backbone.residue_map)
    met = {"all_met": all(each["met"] for each in requested(verdicts))}
    return {"verdicts": verdicts, "columns": {**sequenced.columns, **met, **verdict_columns(verdicts), **measured}}


def designs_of(result: Mapping[str, Any]) -> list[str] | None:
    """The names of the designs that work of the stage of sequences has made; None for that of other stages."""
    return [each["name"] for each in result["designs"]] if "designs" in result else None


def _sequences_of(structure: Structure) -> dict[str, tuple[str, str]]:
    """Kind and letters of each polymer chain."""
    kinds = polymer_kinds(structure)
    return {chain: (kinds[chain].name.lower(), letters) for chain, letters in chain_sequences(structure).items()}
