"""What a campaign does with each backbone, and what therefore decides each of its results."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from structdiff.campaign.allowed_letters import check_allowed, check_layout
from structdiff.campaign.settings import BOLTZ, SEQUENCE_WEIGHTS, CampaignSettings
from structdiff.campaign.work import DESIGN_STAGES, NewWork
from structdiff.errors import InputError
from structdiff.model.abilities import PLAIN, Abilities
from structdiff.structure.open_residues import open_residues

if TYPE_CHECKING:
    from structdiff.model.checkpoint import Weights
    from structdiff.options import RunOptions
    from structdiff.spec.design import DesignSpec
    from structdiff.spec.layout import Layout
    from structdiff.structure.tables import Structure

#: Weights that build side chains onto designed sequences.
PACKING_WEIGHTS = "ligandmpnn_sc_v_32_002_16"
#: The temperature at which each model is drawn from unless another is asked for.
_TEMPERATURES = {"own": 1.0}
_MPNN_TEMPERATURE = 0.1
#: How much published networks favour the letters that a fold was made up with, unless it is said: the judges find such
#: sequences 0.1 nats a pair likelier, LigandMPNN itself 0.1 nats a residue less likely.
_MADE_UP_FAVOUR = 1.0
#: How many layouts are looked at for one that has the residues that letters are asked of.
_LAYOUTS = 1000
#: Between a backbone's name and the numbers of the sequences that a later run adds, in the name of that work.
_LOT = ":"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A campaign as its workers need it: everything is decided.

    asked: what decides the results of each stage that there is. sequence_model: the one that is used. abilities: what
    the network that draws does by itself. packing_hash: of
    the weights that build its side chains, None where these are not built. bare: the folder
    was begun with one sequence a backbone, so that the first design bears the backbone's name; beside: and that design
    is the backbone itself, with the sequence that the network gave it.
    """

    spec: DesignSpec
    options: RunOptions
    settings: CampaignSettings
    sequence_model: str
    asked: Mapping[str, Mapping[str, Any]]
    weights_hash: Mapping[str, str]
    abilities: Abilities = PLAIN
    packing_hash: str | None = None
    bare: bool = False
    beside: bool = False

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that each design goes through."""
        return tuple(self.asked)

    @property
    def at_once(self) -> dict[str, int]:
        """How many pieces of work of each stage a worker takes; what takes long one by one is shared out one by one."""
        from structdiff.features.hallucinated_folds import hallucinates

        most = 1 if self.options.trajectory or hallucinates(self.spec) else self.options.batch_size
        one_by_one = {"refold"} if self.settings.refold_command is not None else set()
        return {stage: 1 if stage in one_by_one else most for stage in self.stages}

    @property
    def judges(self) -> tuple[str, ...]:
        """Those of trRosetta's networks that judge the designs."""
        return _judges(self.spec)

    @property
    def temperature(self) -> float:
        """The temperature at which sequences are drawn."""
        return self.settings.temperature or _TEMPERATURES.get(self.sequence_model, _MPNN_TEMPERATURE)

    @property
    def favour_present(self) -> float:
        """How much published networks favour the letters of a design's parent, or those that its backbone came with."""
        return _favour(self.spec, self.settings, self.sequence_model)

    def backbone_name(self, number: int) -> str:
        """What the backbone of that number (from 0) is called."""
        return f"{self.spec.name}_{number + 1}"

    def design_names(self, number: int, places: range | None = None) -> list[str]:
        """What the designs of that backbone are called. places: of which of its sequences, from 0; of all if None."""
        backbone = self.backbone_name(number)
        chosen = range(self.settings.sequences) if places is None else places
        return [backbone if self.bare and place == 0 else f"{backbone}_{place + 1}" for place in chosen]

    def places(self, name: str) -> range:
        """Which sequences (from 0) the work of that name in the stage of sequences makes."""
        _, mark, lot = name.partition(_LOT)
        if not mark:
            return range(self.settings.sequences)
        first, last = map(int, lot.split("-"))
        return range(first - 1, last)

    def more_sequences(self, number: int, there: int) -> list[NewWork]:
        """The work of making the sequences of a backbone that are asked for beyond those that are there."""
        if there >= self.settings.sequences:
            return []
        backbone = self.backbone_name(number)
        lot = f"{backbone}{_LOT}{there + 1}-{self.settings.sequences}"
        return [self.work("sequence", lot, number, parent=backbone)]

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

    def following(self, stage: str, number: int, designs: Sequence[str] | None = None) -> list[NewWork]:
        """The work that can begin once a stage of a backbone is done, and made these designs (all if None)."""
        backbone, rest = self.backbone_name(number), self.stages[self.stages.index(stage) + 1 :]
        if stage in DESIGN_STAGES or not rest:
            return []
        if rest[0] == "sequence":
            return [self.work("sequence", backbone, number, parent=backbone)]
        return [self.work(each, name, number, parent=backbone) for each in rest
                for name in (self.design_names(number) if designs is None else designs)]  # fmt: skip


def plan_campaign(spec: DesignSpec, options: RunOptions, settings: CampaignSettings, weights: Weights) -> Campaign:
    """Decides everything that a campaign leaves open. Raises InputError for weights that are not here."""
    from structdiff.assembly import provenance_of
    from structdiff.design_jobs import design_request, resolve_design
    from structdiff.features.hallucinated_folds import hallucinates
    from structdiff.model.abilities import check_designs
    from structdiff.model.library import weights_sha256
    from structdiff.published_weights import is_present
    from structdiff.trrosetta.network import NETWORKS

    abilities = weights.network.abilities
    check_designs(abilities, weights.name)
    settings = _refolded_by_another(settings, abilities, weights.name)
    model = _sequence_model(settings)
    favour = _favour(spec, settings, model)
    resolved, motif = resolve_design(spec)
    request = design_request(resolved)
    _check_allow_at(settings, resolved, motif)
    backbone = provenance_of(
        request, weights, options, seed=spec.seed, index=0, device="", made_up=hallucinates(spec)
    ).as_data()
    asked: dict[str, Mapping[str, Any]] = {"backbone": backbone}
    hashes = {"backbone": weights.sha256}
    # Of sequences drawn plainly by the network's own head, the first is the one that the backbone has already.
    plain = model == "own" and settings.plain
    if not plain or settings.sequences > 1:
        hashes["sequence"] = weights.sha256 if model == "own" else _file_hash(SEQUENCE_WEIGHTS[model])
        asked["sequence"] = backbone | {"sequence_settings": {
            "model": model, "weights_sha256": hashes["sequence"], "temperature": settings.temperature,
            "avoid": settings.avoid, **({"allow_at": settings.allow_at} if settings.allow_at else {}),
            **({"favour_present": favour} if favour else {}),
        }}  # fmt: skip
    sequenced = backbone if plain else asked["sequence"]
    if _is_judged(settings):
        hashes["judge"] = _file_hash("trrosetta")
        judge = {"model": "trrosetta", "weights_sha256": hashes["judge"]}
        if len(judges := _judges(spec)) < len(NETWORKS):
            judge["networks"] = ",".join(judges)
        asked["judge"] = {**sequenced, "judge": judge}
    refolder = _refolder(settings)
    if refolder is not None:
        folds = {"fold_weights_sha256": _file_hash("trrosetta")} if refolder == "trrosetta" else {}
        asked["refold"] = {**sequenced, "refolder": refolder, "target": "template", **folds}
        hashes["refold"] = "" if settings.refold_command else weights.sha256
        if refolder == BOLTZ:
            hashes["refold"] = weights_sha256(BOLTZ)
            asked["refold"] = asked["refold"] | {"refold_weights_sha256": hashes["refold"]}
    packs = model != "own" and is_present(PACKING_WEIGHTS)
    return Campaign(
        spec=spec, options=options, settings=settings, sequence_model=model, asked=asked, weights_hash=hashes,
        abilities=abilities,
        packing_hash=_file_hash(PACKING_WEIGHTS) if packs else None,
        bare=settings.sequences == 1, beside="sequence" not in asked,
    )  # fmt: skip


def _check_allow_at(settings: CampaignSettings, spec: DesignSpec, motif: Structure | None) -> None:
    """Raises InputError for residues that none of the designs has, or that keep their type in all of them.

    spec: with its stretches looked up. Of designs whose lengths differ some may have what others do not: these fail
    alone, before anything is drawn of them.
    """
    from structdiff.design_jobs import sampled_layout

    text, first = settings.allow_at, sampled_layout(spec, 0)
    check_allowed(text, settings.avoid, first.chains.keys())
    refused: dict[Layout, InputError] = {}
    for number in range(min(spec.num_designs, _LAYOUTS) if text else 0):
        layout = sampled_layout(spec, number)
        try:
            check_layout(text, layout, open_residues(spec, layout, motif))
            return
        except InputError as error:
            refused[layout] = error
    if len(refused) == 1:
        raise refused[first]
    if refused:
        raise InputError(f"{refused[first]}; so it is in all {len(refused)} layouts that were drawn")


def plan_as_begun(campaign: Campaign, facts: Mapping[str, Any]) -> Campaign:
    """The plan for a folder that holds designs of it already: names stay as they were begun.

    Raises InputError where designs bear the network's own sequence and another is wanted now.
    """
    campaign = replace(campaign, bare=facts.get("bare", campaign.bare), beside=facts.get("beside", campaign.beside))
    settings = campaign.settings
    if campaign.beside and (campaign.sequence_model != "own" or not settings.plain):
        raise InputError(
            f"{campaign.spec.name} was begun with the network's own sequences, which are part of its designs; choose "
            "another --out or --name, or --overwrite", key="sequence_model", found=campaign.sequence_model,
            allowed="own, without temperature, avoid and allow_at",
        )  # fmt: skip
    return campaign


def _sequence_model(settings: CampaignSettings) -> str:
    from structdiff.published_weights import is_present, weights_path

    if settings.sequence_model == "auto":
        return next((name for name, weights in SEQUENCE_WEIGHTS.items() if is_present(weights)), "own")
    if settings.sequence_model != "own":
        weights_path(SEQUENCE_WEIGHTS[settings.sequence_model])  # says how to fetch them
    return settings.sequence_model


def _favour(spec: DesignSpec, settings: CampaignSettings, model: str) -> float:
    """How much the letters that a backbone came with are favoured. Raises InputError where the model knows of none."""
    from structdiff.features.hallucinated_folds import hallucinates

    asked = settings.favour_present
    if model == "own":
        if asked:
            raise InputError(
                "the network's own sequence head has no amino acids to favour", key="favour_present", found=asked,
                allowed="another sequence_model: ligandmpnn, say",
            )  # fmt: skip
        return 0.0
    if asked is None:
        return _MADE_UP_FAVOUR if hallucinates(spec) else 0.0
    return asked


def _judges(spec: DesignSpec) -> tuple[str, ...]:
    """Those of trRosetta's networks that had no part in a design."""
    from structdiff.features.hallucinated_folds import hallucinates
    from structdiff.trrosetta.hallucination import JUDGES
    from structdiff.trrosetta.network import NETWORKS

    return JUDGES if hallucinates(spec) else NETWORKS


def _is_judged(settings: CampaignSettings) -> bool:
    from structdiff.published_weights import is_present

    return settings.judge == "trrosetta" or (settings.judge == "auto" and is_present("trrosetta"))


def _refolded_by_another(settings: CampaignSettings, abilities: Abilities, name: str) -> CampaignSettings:
    """The settings with Boltz-2, if it is here, or nothing in place of a network that predicts no structures.

    Raises InputError where that network is to predict what trRosetta tells it.
    """
    from structdiff.published_weights import is_present

    if abilities.predictions or settings.refold_command is not None or settings.refold in (BOLTZ, "none"):
        return settings
    if settings.refold != "own":
        raise InputError(f"{name} predicts no structures, nor those that trRosetta expects", key="refold",
                         found=settings.refold, allowed=f"{BOLTZ}, none, or a refold_command")  # fmt: skip
    return replace(settings, refold=BOLTZ if is_present(BOLTZ) else "none")


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
