"""What the options of ``structdiff evaluate`` ask, read and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.campaign.kept_measures import KeptMeasures
    from structdiff.campaign.refolding import Refolder
    from structdiff.campaign.settings import CampaignSettings
    from structdiff.evaluation.backbone import Backbone
    from structdiff.evaluation.evaluation import OnProgress
    from structdiff.evaluation.measures import Measure
    from structdiff.evaluation.natural import NaturalChains
    from structdiff.evaluation.subject import Given


def given_asked(
    files: list[Path], reference: Path | None, motif: Path | None, residue_map: Path | None, designed: str | None,
    hotspots: str | None,
) -> Given:  # fmt: skip
    """What was said of the structures, read and checked."""
    from structdiff.evaluation.reference_files import references_of
    from structdiff.evaluation.residue_maps import read_residue_map
    from structdiff.evaluation.subject import Given
    from structdiff.spec.contig_grammar import parse_residues
    from structdiff.structure.files import read_structure

    spots = parse_residues(hotspots, "hotspots") if hotspots else ()
    return Given(
        motif=None if motif is None else read_structure(motif),
        residue_map=None if residue_map is None else read_residue_map(residue_map),
        designed=[name.strip() for name in (designed or "").split(",") if name.strip()],
        hotspots=[(spot.chain, spot.number, spot.insertion_code) for spot in spots],
        references={} if reference is None else references_of(reference, files),
    )


def measures_asked(
    sequence_model: str,
    judge: str,
    refold: str,
    refold_command: str | None,
    refold_timeout: float | None,
    judge_ligands: str,
    keep: KeptMeasures,
) -> list[Measure]:
    """The measures of sequences and ligands by networks, as asked for, with their values kept as they are made.

    Raises InputError for what is unknown or not fetched.
    """
    from structdiff.campaign import sequence_evaluation as measures
    from structdiff.campaign.refold_command import check_runs_here
    from structdiff.campaign.settings import JUDGES, REFOLDERS, CampaignSettings
    from structdiff.docking.pose_measure import gnina_measure
    from structdiff.docking.pose_scorer import GNINA
    from structdiff.features.chain_folds import check_folding_weights

    for key, found, allowed in (
        ("judge", judge, JUDGES), ("refold", refold, REFOLDERS), ("judge_ligands", judge_ligands, ("none", GNINA))
    ):  # fmt: skip
        choices = [choice for choice in allowed if choice != "auto"]
        if found not in choices:
            raise InputError("unknown choice", key=key, found=found, allowed=choices, suggest_from=choices)
    # Refuses a command that cannot be called, and a limit of time without one.
    settings = CampaignSettings(refold_command=refold_command, refold_timeout=refold_timeout)
    if refold_command is not None:
        check_runs_here(refold_command)
    chosen: dict[str, Measure] = {}
    if sequence_model != "none":
        chosen[f"sequence model {sequence_model}"] = measures.likelihood_measure(sequence_model)
    if judge != "none":
        chosen[f"judge {judge}"] = measures.judge_measure()
    if refold == "trrosetta" and refold_command is None:
        check_folding_weights()
    if refold_command is not None or refold != "none":
        asked = f"refold {refold}" if refold_command is None else f"refold command {refold_command}"
        chosen[asked] = measures.refold_measure(lambda: _refolder(refold, settings))
    if judge_ligands == GNINA:
        chosen[f"judge ligands {GNINA}"] = gnina_measure()
    return [keep.kept(measure, asked) for asked, measure in chosen.items()]


def _refolder(name: str, settings: CampaignSettings) -> Refolder:
    from structdiff.campaign.refold_command import CommandRefolder
    from structdiff.campaign.refolding import refolder_called
    from structdiff.options import RunOptions
    from structdiff.pipeline import load_engine

    if settings.refold_command is not None:
        return CommandRefolder(settings.refold_command, settings.refold_minutes)
    options = RunOptions()
    return refolder_called(name, lambda: load_engine(options), options, seed=0)


def natural_asked(
    path: Path | None, progress: OnProgress
) -> tuple[NaturalChains | None, Sequence[tuple[str, Backbone]]]:
    """Natural chains of a given place, for likeness and for novelty; neither where none was given."""
    if path is None:
        return None, ()
    from structdiff.cli.natural_set import check_natural, natural_chains_in, number_of_entries
    from structdiff.evaluation.natural import natural_chains

    check_natural(path)
    total = number_of_entries(path)
    chains = []
    entries: set[str] = set()
    for name, backbone in natural_chains_in(path):
        entries.add(name.rsplit("_", 1)[0])
        progress("reading natural chains", min(len(entries), total), total)
        chains.append((name, backbone))
    table, _ = natural_chains(chains, provenance={"source": str(path)})
    return table, chains
