"""What a campaign does with each backbone, and what therefore decides each of its results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from structdiff.campaign.work import DESIGN_STAGES, NewWork
from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE
from structdiff.errors import InputError

if TYPE_CHECKING:
    from structdiff.model.checkpoint import Weights
    from structdiff.options import RunOptions
    from structdiff.spec.design import DesignSpec

#: Models of sequences: the published weights of each. ``own`` is the network's own sequence head.
SEQUENCE_WEIGHTS: Mapping[str, str] = {
    "proteinmpnn": "proteinmpnn_v_48_020",
    "solublempnn": "solublempnn_v_48_020",
    "ligandmpnn": "ligandmpnn_v_32_010_25",
}
#: Weights that build side chains onto designed sequences.
PACKING_WEIGHTS = "ligandmpnn_sc_v_32_002_16"
SEQUENCE_MODELS = ("auto", "own", *SEQUENCE_WEIGHTS)
JUDGES = ("auto", "trrosetta", "none")
REFOLDERS = ("own", "none")
#: The temperature at which each model is drawn from unless another is asked for.
_TEMPERATURES = {"own": 1.0}
_MPNN_TEMPERATURE = 0.1


@dataclass(frozen=True, kw_only=True)
class CampaignSettings:
    """What is done with each backbone.

    sequences: how many sequences are designed for each backbone. sequence_model: auto, own, proteinmpnn, solublempnn or
    ligandmpnn; auto takes published weights where they were fetched, else the network's own sequence head. temperature:
    of the draw of sequences; low is safe, high is varied. avoid: amino acids that no new residue may be, for instance
    C. judge: trrosetta says of each sequence whether it alone is expected to fold as designed, auto does so where its
    weights were fetched, none leaves it out. refold: own predicts each design from its sequence with the same weights,
    none leaves it out. refold_command: another program that predicts each design, for instance 'boltz predict {yaml}
    --out_dir {out}'.
    """

    sequences: int = 1
    sequence_model: str = "auto"
    temperature: float | None = None
    avoid: str = ""
    judge: str = "auto"
    refold: str = "own"
    refold_command: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.sequences <= 1000:
            raise InputError("a backbone has at least one sequence", key="sequences", found=self.sequences,
                             allowed="1 to 1000")  # fmt: skip
        for key, allowed in (("sequence_model", SEQUENCE_MODELS), ("judge", JUDGES), ("refold", REFOLDERS)):
            if getattr(self, key) not in allowed:
                raise InputError("unknown choice", key=key, found=getattr(self, key), allowed=allowed,
                                 suggest_from=allowed)  # fmt: skip
        if self.temperature is not None and not 0 < self.temperature <= 10:
            raise InputError("must be above 0", key="temperature", found=self.temperature, allowed="0.1, say")
        object.__setattr__(self, "avoid", self.avoid.upper().replace(",", "").replace(" ", ""))
        for letter in self.avoid:
            if letter not in PROTEIN_ONE_TO_THREE:
                raise InputError("this is no amino acid", key="avoid", found=letter, allowed="CM, say")
        if len(set(self.avoid)) >= len(PROTEIN_ONE_TO_THREE):
            raise InputError("no amino acid is left", key="avoid", found=self.avoid)
        if self.refold_command is not None:
            _check_command(self.refold_command)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A campaign as its workers need it: everything is decided.

    asked: what decides the results of each stage that there is. sequence_model: the one that is used.
    """

    spec: DesignSpec
    options: RunOptions
    settings: CampaignSettings
    sequence_model: str
    asked: Mapping[str, Mapping[str, Any]]
    weights_hash: Mapping[str, str]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that each design goes through."""
        return tuple(self.asked)

    @property
    def temperature(self) -> float:
        """The temperature at which sequences are drawn."""
        return self.settings.temperature or _TEMPERATURES.get(self.sequence_model, _MPNN_TEMPERATURE)

    def backbone_name(self, number: int) -> str:
        """What the backbone of that number (from 0) is called."""
        return f"{self.spec.name}_{number + 1}"

    def design_names(self, number: int) -> list[str]:
        """What the designs of that backbone are called."""
        backbone = self.backbone_name(number)
        if self.settings.sequences == 1:
            return [backbone]
        return [f"{backbone}_{place + 1}" for place in range(self.settings.sequences)]

    def backbones(self, numbers: range) -> Iterator[NewWork]:
        """The work of drawing backbones."""
        for number in numbers:
            yield self.work("backbone", self.backbone_name(number), number)

    def work(self, stage: str, name: str, number: int, parent: str = "") -> NewWork:
        """One piece of work of a stage."""
        return NewWork(
            run=self.spec.name,
            stage=stage, name=name, number=number, seed=self.spec.seed, asked=self.asked[stage],
            weights_hash=self.weights_hash[stage], parent=parent,
        )  # fmt: skip

    def following(self, stage: str, number: int) -> list[NewWork]:
        """The work that can begin once a stage of a backbone is done."""
        backbone, rest = self.backbone_name(number), self.stages[self.stages.index(stage) + 1 :]
        if stage in DESIGN_STAGES or not rest:
            return []
        if rest[0] == "sequence":
            return [self.work("sequence", backbone, number, parent=backbone)]
        return [self.work(each, name, number, parent=backbone) for each in rest for name in self.design_names(number)]


def plan_campaign(spec: DesignSpec, options: RunOptions, settings: CampaignSettings, weights: Weights) -> Campaign:
    """Decides everything that a campaign leaves open. Raises InputError for weights that are not here."""
    from structdiff.assembly import design_request, provenance_of
    from structdiff.pipeline import resolve_design

    model = _sequence_model(settings)
    request = design_request(resolve_design(spec)[0])
    backbone = provenance_of(request, weights, options, seed=spec.seed, index=0, device="").as_data()
    asked: dict[str, Mapping[str, Any]] = {"backbone": backbone}
    hashes = {"backbone": weights.sha256}
    if model != "own" or settings.sequences > 1 or settings.avoid or settings.temperature is not None:
        hashes["sequence"] = weights.sha256 if model == "own" else _file_hash(SEQUENCE_WEIGHTS[model])
        asked["sequence"] = backbone | {"sequence_settings": {
            "model": model, "weights_sha256": hashes["sequence"], "sequences": settings.sequences,
            "temperature": settings.temperature, "avoid": settings.avoid,
        }}  # fmt: skip
    if _is_judged(settings):
        hashes["judge"] = _file_hash("trrosetta")
        judge = {"model": "trrosetta", "weights_sha256": hashes["judge"]}
        asked["judge"] = {**asked.get("sequence", backbone), "judge": judge}
    refolder = _refolder(settings)
    if refolder is not None:
        asked["refold"] = {**asked.get("sequence", backbone), "refolder": refolder}
        hashes["refold"] = "" if settings.refold_command else weights.sha256
    return Campaign(
        spec=spec, options=options, settings=settings, sequence_model=model, asked=asked, weights_hash=hashes
    )


def _sequence_model(settings: CampaignSettings) -> str:
    from structdiff.published_weights import is_present, weights_path

    if settings.sequence_model == "auto":
        return next((name for name, weights in SEQUENCE_WEIGHTS.items() if is_present(weights)), "own")
    if settings.sequence_model != "own":
        weights_path(SEQUENCE_WEIGHTS[settings.sequence_model])  # says how to fetch them
    return settings.sequence_model


def _is_judged(settings: CampaignSettings) -> bool:
    from structdiff.published_weights import is_present

    return settings.judge == "trrosetta" or (settings.judge == "auto" and is_present("trrosetta"))


def _refolder(settings: CampaignSettings) -> str | None:
    if settings.refold_command is not None:
        return settings.refold_command
    return None if settings.refold == "none" else settings.refold


def _file_hash(weights: str) -> str:
    """Of all files of published weights together. Raises InputError, which says how to fetch them, for one missing."""
    from structdiff.published_weights import full_names, weights_path

    found = hashlib.sha256()
    for name in full_names(weights):
        found.update(weights_path(name).read_bytes())
    return found.hexdigest()


def _check_command(command: str) -> None:
    from structdiff.campaign.refold_command import command_words

    command_words(command, {key: key for key in ("yaml", "fasta", "out", "name")})
