"""Measures of structures by their sequences, for ``structdiff evaluate``: likelihood, an independent judge, refolding.

They take seconds or more a structure, so each is asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from structdiff.campaign.measures import refold_columns
from structdiff.errors import InputError
from structdiff.evaluation.backbone import has_sequence
from structdiff.evaluation.measures import Measure
from structdiff.evaluation.natural_sequences import natural_median
from structdiff.evaluation.subject import Subject

if TYPE_CHECKING:
    from structdiff.campaign.refolding import Refolder

_WITH_NATURAL = ("proteinmpnn", "ligandmpnn")
_NO_SEQUENCE = "it has no sequence of its own: all its residues are called alike"
_NO_SEQUENCE_OF_NEW = "what was designed has no sequence: all its residues are called alike"
_LOOP = 10  # so many new residues are no loop of glycines


def likelihood_measure(model: str) -> Measure:
    """How likely the own sequence is for the backbone, and how much of it a designed one (temperature 0.1) has.

    model: proteinmpnn, solublempnn, ligandmpnn or another of ``structdiff weights list``. The measure raises InputError
    for a structure without a sequence; asking for it does for an unknown model, or weights that were not fetched.
    """
    from structdiff.inverse_folding import design_sequences, score_sequence
    from structdiff.inverse_folding.library import load_network, model_name

    load_network(model)
    natural = next((name for name in _WITH_NATURAL if model_name(name) == model_name(model)), model)

    def measure(subject: Subject) -> Mapping[str, float]:
        _refuse_without_sequence(subject)
        structure = subject.structure
        scored = score_sequence(structure, model=model)
        (designed,) = design_sequences(structure, model=model, num_sequences=1, seed=0)
        expected = natural_median(natural, len(subject.backbone))
        found = {
            "own_sequence_nll": scored.negative_log_likelihood,
            "own_sequence_nll_excess": scored.negative_log_likelihood - expected,
        }
        return found if designed.recovery is None else found | {"own_sequence_recovery": designed.recovery}

    return measure


def judge_measure() -> Measure:
    """What trRosetta expects of the designed chains' sequences alone; raises InputError where it was not fetched."""
    from structdiff.campaign.judging import judge_columns
    from structdiff.published_weights import weights_path

    weights_path("trrosetta_a")

    def measure(subject: Subject) -> Mapping[str, float]:
        _refuse_without_sequence(subject)
        return _known(judge_columns(subject.structure, subject.residue_map))

    return measure


def refold_measure(refolder: Callable[[], Refolder]) -> Measure:
    """How the structure comes back from its sequence, by a refolder that is made when the first one is asked for."""
    from structdiff.campaign.refolding import complex_of

    made: list[Refolder] = []

    def measure(subject: Subject) -> Mapping[str, float]:
        _refuse_without_sequence(subject)
        if not made:
            made.append(refolder())
        name = PurePath(subject.name).name
        (refolded,) = made[0].refold([complex_of(subject.structure, name)], None)
        columns = refold_columns(subject.structure, refolded.structure, subject.residue_map)
        return _known({**refolded.scores, **columns})

    return measure


def _refuse_without_sequence(subject: Subject) -> None:
    if not len(subject.backbone) or not subject.backbone.sequence_known:
        raise InputError(_NO_SEQUENCE, path=subject.path)
    new = subject.backbone.restype[subject.is_new]
    if len(new) >= _LOOP and not has_sequence(new):  # RFdiffusion keeps the letters of target and motif alone
        raise InputError(_NO_SEQUENCE_OF_NEW, path=subject.path)


def _known(columns: Mapping[str, float | int | None]) -> dict[str, float]:
    return {name: float(value) for name, value in columns.items() if value is not None}
