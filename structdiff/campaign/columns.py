"""The columns of the results: which a campaign has."""

from __future__ import annotations

from structdiff.campaign.plan import Campaign

#: Columns by what they come from.
BACKBONE = (
    "seed", "sample", "polymer_residues", "ranking_score", "plddt", "ptm", "iptm", "ipsae", "pae", "has_clash",
    "all_met", "verdicts_met", "bond_rms", "chain_breaks", "backbone_clashes_per_100", "rama_outlier", "helix",
    "strand", "loop", "rg",
)  # fmt: skip
INTERFACE = ("interface_pairs",)
SEQUENCE = ("sequence_nll",)
PUBLISHED_SEQUENCE = ("recovery",)
JUDGE = ("judge_log_likelihood", "judge_contact_precision")
REFOLD = ("refold_plddt", "sc_rmsd", "sc_tm")
OWN_REFOLD = ("refold_ptm", "refold_iptm", "refold_ipsae")
MOTIF, MOTIF_PLACE = ("motif_rmsd",), ("motif_place_rmsd",)
REFOLD_MOTIF = ("refold_motif_rmsd",)
HOTSPOTS, REFOLD_HOTSPOTS = ("hotspots_met",), ("refold_hotspots_touched",)
TARGET = ("target_aligned_rmsd",)
#: All of them, what a reader looks for first at the front.
EVERY = (
    *REFOLD[1:], *REFOLD_MOTIF, *REFOLD_HOTSPOTS, *TARGET, *JUDGE, *REFOLD[:1], *OWN_REFOLD, *MOTIF, *MOTIF_PLACE,
    *HOTSPOTS, *INTERFACE, *SEQUENCE, *PUBLISHED_SEQUENCE, *BACKBONE[2:], *BACKBONE[:2],
)  # fmt: skip

#: Those that are true or false; others are numbers.
YES_OR_NO = ("all_met", "has_clash")

#: What those come with that not every campaign has.
COME_WITH = {
    **dict.fromkeys((*REFOLD, *OWN_REFOLD, *REFOLD_MOTIF, *REFOLD_HOTSPOTS, *TARGET), "refolding"),
    **dict.fromkeys(INTERFACE, "several chains"),
    **dict.fromkeys(JUDGE, "a judge of sequences"),
    **dict.fromkeys(SEQUENCE, "sequences"),
    **dict.fromkeys(PUBLISHED_SEQUENCE, "sequences of a published network"),
    **dict.fromkeys(MOTIF, "a motif"),
    **dict.fromkeys(MOTIF_PLACE, "a motif that is placed by a symmetry"),
    **dict.fromkeys(HOTSPOTS, "hotspots"),
}


def campaign_columns(campaign: Campaign) -> tuple[str, ...]:
    """The columns that designs of a campaign can have, in the order of tables."""
    stages, spec = campaign.stages, campaign.spec
    found = [*BACKBONE, *(MOTIF if spec.motif else ()), *(HOTSPOTS if spec.hotspots else ())]
    if spec.symmetry is not None or len(spec.contigs.chains) > 1:
        found += INTERFACE
    if spec.symmetry is not None and spec.symmetry.motif_placed:
        found += MOTIF_PLACE
    if "sequence" in stages:
        found += [*SEQUENCE, *(PUBLISHED_SEQUENCE if campaign.sequence_model != "own" else ())]
    if "judge" in stages:
        found += JUDGE
    if "refold" in stages:
        found += [*REFOLD, *(() if campaign.settings.refold_command else OWN_REFOLD)]
        found += [*(REFOLD_MOTIF if spec.motif else ()), *(REFOLD_HOTSPOTS if spec.hotspots else ())]
        found += TARGET if spec.motif else ()
    return tuple(found)
