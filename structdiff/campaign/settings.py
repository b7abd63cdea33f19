"""What is asked of a campaign beyond its backbones: sequences, a judge, refolding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from structdiff.campaign.allowed_letters import parse_allowed
from structdiff.chemistry.residues import PROTEIN_ONE_TO_THREE
from structdiff.errors import InputError

#: Models of sequences: the published weights of each. ``own`` is the network's own sequence head.
SEQUENCE_WEIGHTS: Mapping[str, str] = {
    "proteinmpnn": "proteinmpnn_v_48_020",
    "solublempnn": "solublempnn_v_48_020",
    "ligandmpnn": "ligandmpnn_v_32_010_25",
}
SEQUENCE_MODELS = ("auto", "own", *SEQUENCE_WEIGHTS)
JUDGES = ("auto", "trrosetta", "none")
#: Minutes that a command has for one design unless it is said: more than any prediction takes that is still wanted.
REFOLD_MINUTES = 360.0
#: What refolds with weights of its own, by their name.
BOLTZ = "boltz2"
REFOLDERS = ("own", "trrosetta", BOLTZ, "none")


@dataclass(frozen=True, kw_only=True)
class CampaignSettings:
    """What is done with each backbone.

    sequences: how many sequences are designed for each backbone. sequence_model: which network designs them: auto, own,
    proteinmpnn, solublempnn or ligandmpnn; auto takes published weights where they were fetched, else own, the sequence
    head of the network that draws. temperature: of the draw of sequences; low is safe, high is varied. favour_present:
    what published networks add to the logit of the amino acid of the residue that each one is or stands in for in the
    motif's file, else of the one that the backbone came with. avoid: amino
    acids that no new residue may be, for instance C. allow_at: amino acids that single new residues may be, in the
    design's chains and numbers, for instance A10-12=PG,B5=DE. judge: what says of each sequence whether it alone is
    expected to fold as designed: trrosetta; auto asks it where its weights were fetched, none leaves it out. refold:
    what predicts each design from its sequence: own, with the same weights (where these predict nothing, with
    Boltz-2's, if they are here); trrosetta, with these weights in the fold that trRosetta expects of the sequence;
    boltz2, with Boltz-2's published weights; none leaves it out. refold_command: another program that predicts each
    design, for instance 'boltz predict {yaml} --out_dir {out}'. refold_timeout: minutes after which a command that
    still predicts one design is ended, and that design has failed; 0 for no limit.
    """

    sequences: int = 1
    sequence_model: str = "auto"
    temperature: float | None = None
    favour_present: float | None = None
    avoid: str = ""
    allow_at: str = ""
    judge: str = "auto"
    refold: str = "own"
    refold_command: str | None = None
    refold_timeout: float | None = None

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
        if self.favour_present is not None:
            object.__setattr__(self, "favour_present", _checked_favour(self.favour_present))
        object.__setattr__(self, "avoid", self.avoid.upper().replace(",", "").replace(" ", ""))
        for letter in self.avoid:
            if letter not in PROTEIN_ONE_TO_THREE:
                raise InputError("this is no amino acid", key="avoid", found=letter, allowed="CM, say")
        if len(set(self.avoid)) >= len(PROTEIN_ONE_TO_THREE):
            raise InputError("no amino acid is left", key="avoid", found=self.avoid)
        parse_allowed(self.allow_at)
        if self.refold_command is not None:
            _check_command(self.refold_command)
        if self.refold_timeout is not None:
            self._check_timeout(self.refold_timeout)

    def _check_timeout(self, minutes: float) -> None:
        if self.refold_command is None:
            raise InputError("only a command has a limit of time", key="refold_timeout", found=minutes,
                             allowed="with refold_command")  # fmt: skip
        if not 0 <= minutes < math.inf:
            raise InputError("must be a number of minutes", key="refold_timeout", found=minutes,
                             allowed="above 0, or 0 for no limit")  # fmt: skip

    @property
    def refold_minutes(self) -> float:
        """The minutes that a command has for one design; 0 for no limit."""
        return REFOLD_MINUTES if self.refold_timeout is None else self.refold_timeout

    @property
    def plain(self) -> bool:
        """Whether nothing is asked of sequences that the one a backbone comes with does not have."""
        return not self.avoid and not self.allow_at and self.temperature is None


def _checked_favour(favour: float) -> float:
    from structdiff.inverse_folding.restrictions import checked_favour

    return checked_favour(favour)


def _check_command(command: str) -> None:
    from structdiff.campaign.refold_command import command_words

    command_words(command, {key: key for key in ("yaml", "fasta", "out", "name")})
