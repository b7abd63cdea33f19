"""Metrics of campaigns: what the network thinks of a design, and how it comes back from its sequence."""

from __future__ import annotations

from structdiff.evaluation.metrics.metric import Metric

_ORIGIN, _CONFIDENCE, _ASKED = "Where a design comes from", "Confidence", "What was asked"
_CHOSEN = "Choosing"
_SEQUENCE, _JUDGE, _REFOLD = "Sequence", "Judge of sequences", "Refolding"
_AF3 = "Abramson et al., Nature 630, 493 (2024), supplement 4.3 and 5.9"
_IPSAE = "Dunbrack, bioRxiv 10.1101/2025.02.10.637595 (2025)"
_SC = "Trippe et al., ICLR 2023; Watson et al., Nature 620, 1089 (2023)"
_TRROSETTA = "Yang et al., PNAS 117, 1496 (2020); Anishchenko et al., Nature 600, 547 (2021)"
_MPNN = "Dauparas et al., Science 378, 49 (2022)"
_TM = "Zhang & Skolnick, Proteins 57, 702 (2004)"

#: Columns of the table of designs that measure nothing.
TABLE = (
    Metric(
        name="name",
        label="name",
        group=_ORIGIN,
        formula="what the design and its files are called: the run's name, "
        "the number of the backbone, and that of the sequence where a backbone has several",
    ),
    Metric(
        name="rank",
        label="rank",
        group=_CHOSEN,
        better="lower",
        formula="place among all designs of one name in the folder: first what passes the filter, then what meets all "
        "that was requested, then the column to rank by",
    ),
    Metric(
        name="accepted",
        label="accepted",
        group=_CHOSEN,
        better="higher",
        formula="true where no condition of the filter rejects the design, and nothing that was to be done failed",
    ),
    Metric(
        name="rejected_by",
        label="rejected by",
        group=_CHOSEN,
        formula="the conditions of the filter that the design does not meet, each with its value; or what failed",
    ),
)

METRICS = (
    Metric(name="seed", label="seed", group=_ORIGIN, formula="random seed of the run"),
    Metric(name="sample", label="number", group=_ORIGIN, formula="number of the backbone, from 0; with the seed it "
           "decides all random numbers"),
    Metric(name="polymer_residues", label="residues of polymers", group=_ORIGIN,
           formula="residues of all protein, DNA and RNA chains, given ones too"),
    Metric(name="ranking_score", label="ranking score", group=_CONFIDENCE, better="higher", source=_AF3,
           formula="0.8 ipTM + 0.2 pTM - 100 for a clash; pTM for a single chain"),
    Metric(name="plddt", label="pLDDT", group=_CONFIDENCE, better="higher", source=_AF3,
           formula="mean over tokens of the predicted lDDT, 0 to 100, of the drawn backbone"),
    Metric(name="ptm", label="pTM", group=_CONFIDENCE, better="higher", source=_AF3,
           formula="predicted TM-score of everything, 0 to 1, of the drawn backbone"),
    Metric(name="iptm", label="ipTM", group=_CONFIDENCE, better="higher", source=_AF3,
           formula="predicted TM-score of how chains lie to each other, 0 to 1; none for a single chain"),
    Metric(name="ipsae", label="ipSAE", group=_CONFIDENCE, better="higher", source=_IPSAE,
           formula="how sure interfaces are, 0 to 1: of a pair of chains the best mean, over residues of the one with "
           "PAE under 10 Å from a residue of the other, of 1 / (1 + (PAE / d0)²), d0 for their number; of several "
           "chains each one's surest interface, the least of these; none for a single chain, ligands left out"),
    Metric(name="pae", label="mean PAE", group=_CONFIDENCE, unit="Å", better="lower", source=_AF3,
           formula="mean predicted aligned error over all pairs of tokens"),
    Metric(name="has_clash", label="chains clash", group=_CONFIDENCE, better="lower", source=_AF3,
           formula="true where two polymer chains have more than 100 atoms, or half of a chain, within 1.1 Å"),
    Metric(name="all_met", label="all met", group=_ASKED, better="higher",
           formula="true where every verdict on what was requested is met; a fold plan that was drawn is no request"),
    Metric(name="verdicts_met", label="verdicts met", group=_ASKED, better="higher",
           formula="how many of the verdicts on what was requested are met"),
    Metric(name="motif_place_rmsd", label="motif's place, RMSD", group=_ASKED, unit="Å", better="lower",
           formula="RMSD of the motif's held atoms from where its file has them in the frame of the symmetry "
                   "(placed or copies), without superposition"),
    Metric(name="hotspots_met", label="hotspots met", group=_ASKED, unit="%", better="higher",
           formula="share of the hotspots whose verdict is met on the drawn backbone"),
    Metric(name="sequence_nll", label="sequence, negative log-likelihood", group=_SEQUENCE, better="lower",
           formula="mean over the designed residues of - ln p of the amino acid that was drawn, by the model of "
           "sequences (nats)", source=_MPNN),
    Metric(name="recovery", label="sequence recovery", group=_SEQUENCE, unit="%",
           formula="share of the designed residues whose amino acid is what it was in the backbone's file"),
    Metric(name="own_sequence_nll", label="own sequence, negative log-likelihood", group=_SEQUENCE, better="lower",
           formula="mean over residues of - ln p of the file's own amino acid given the backbone and what was read "
           "before, four random orders, by the network that was asked for (nats)", source=_MPNN),
    Metric(name="own_sequence_nll_excess", label="the same, less natural median", group=_SEQUENCE, better="lower",
           formula="own negative log-likelihood less the median of held-out natural chains up to 25 % longer or "
           "shorter (nats; ProteinMPNN and LigandMPNN)", source=_MPNN),
    Metric(name="own_sequence_recovery", label="own sequence recovered", group=_SEQUENCE, unit="%", source=_MPNN,
           formula="share of the residues whose own amino acid a sequence designed for the backbone has (temperature "
           "0.1)"),
    Metric(name="judge_log_likelihood", label="log-likelihood, trRosetta", group=_JUDGE, better="higher",
           source=_TRROSETTA, formula="mean ln p of the design's own CB-CB distances by trRosetta from the sequence "
           "alone, over pairs at least 6 residues apart and within 20 Å (no opinion: -3.6); mean over the designed "
           "chains of 20 to 400 residues, alike ones once"),
    Metric(name="judge_contact_precision", label="contact precision, trRosetta", group=_JUDGE, unit="%",
           better="higher", source=_TRROSETTA, formula="share of the L contacts (CB within 8 Å, at least 6 residues "
           "apart) that trRosetta finds likeliest from the sequence alone that are contacts of the design; mean over "
           "chains as before"),
    Metric(name="refold_plddt", label="pLDDT, refolded", group=_REFOLD, better="higher",
           formula="mean pLDDT, 0 to 100, of the structure predicted from the sequence alone; of another program, the "
           "mean B-factor of its CA atoms"),
    Metric(name="refold_ptm", label="pTM, refolded", group=_REFOLD, better="higher", source=_AF3,
           formula="pTM of the structure predicted from the sequence alone"),
    Metric(name="refold_iptm", label="ipTM, refolded", group=_REFOLD, better="higher", source=_AF3,
           formula="ipTM of the structure predicted from the sequences alone"),
    Metric(name="refold_ipsae", label="ipSAE, refolded", group=_REFOLD, better="higher", source=_IPSAE,
           formula="ipSAE of the structure predicted from the sequences alone"),
    Metric(name="sc_rmsd", label="self-consistency RMSD", group=_REFOLD, unit="Å", better="lower", source=_SC,
           formula="RMSD of CA atoms of the designed chains between the design and the structure predicted from its "
           "sequence, after the best superposition"),
    Metric(name="sc_tm", label="self-consistency TM-score", group=_REFOLD, better="higher", source=_TM,
           formula="TM-score of the designed chains of the predicted structure against the design, by their length"),
    Metric(name="refold_motif_rmsd", label="motif RMSD, refolded", group=_REFOLD, unit="Å", better="lower", source=_SC,
           formula="RMSD of N, CA, C, O of each motif group between the predicted structure and the design, each group "
           "superposed by itself; the worst of several"),
    Metric(name="target_aligned_rmsd", label="binder RMSD on the target", group=_REFOLD, unit="Å", better="lower",
           formula="RMSD of CA atoms of the designed chains after superposing the given chains (CA, C1', P) of the "
           "predicted structure on those of the design", source="Bennett et al., Nat. Commun. 14, 2625 (2023)"),
    Metric(name="refold_hotspots_touched", label="hotspots touched, refolded", group=_REFOLD, unit="%", better="higher",
           formula="share of the hotspots with a heavy atom within 5 Å of a designed chain in the predicted structure"),
)  # fmt: skip
