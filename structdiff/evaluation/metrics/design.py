"""Metrics of designs: is the motif held, is the target touched, how many folds, how new."""

from __future__ import annotations

from structdiff.evaluation.metrics.metric import Metric

_MOTIF, _INTERFACE, _FOLDS = "Motif", "Interface", "Diversity and novelty"
_TM = "Zhang & Skolnick, Proteins 57, 702 (2004); alignment as TM-align, Nucleic Acids Res. 33, 2302 (2005)"

METRICS = (
    Metric(name="motif_residues", label="motif residues", group=_MOTIF, formula="residues of the motif in the design"),
    Metric(name="motif_rmsd", label="motif RMSD, backbone", group=_MOTIF, unit="Å", better="lower",
           formula="RMSD of N, CA, C, O of each motif group to the given motif after the best superposition of that "
           "group; the worst of several groups"),
    Metric(name="motif_rmsd_all", label="motif RMSD, all atoms", group=_MOTIF, unit="Å", better="lower",
           formula="as the backbone's, over all heavy atoms of motif residues whose type is kept; the atoms of a "
           "symmetric side chain paired to agree best"),
    Metric(name="new_rama_favoured", label="Ramachandran favoured, new residues", group=_MOTIF, unit="%",
           better="higher", formula="as for all residues, among those that come from no motif: what a motif brings is "
           "as its file has it"),
    Metric(name="new_clashes_per_100", label="clashes per 100 new residues, backbone", group=_MOTIF, better="lower",
           formula="as for all residues, where at least one of the two atoms belongs to a residue of no motif; a "
           "hundred such residues"),
    Metric(name="hotspots_touched", label="hotspots touched", group=_INTERFACE, unit="%", better="higher",
           formula="share of the given hotspot residues with a heavy atom (CB where only the backbone is there: 8 Å) "
           "within 5 Å of a designed chain"),
    Metric(name="interface_contacts", label="interface residues in contact", group=_INTERFACE, better="none",
           formula="pairs of residues of different chains with heavy atoms within 5 Å"),
    Metric(name="interface_pairs", label="interface pairs, CB", group=_INTERFACE, better="none",
           formula="pairs of residues of different chains with CB within 8 Å (of nucleotides any atom stands for it), "
           "whatever side chains there are; of designs, where one of the two is of a designed chain"),
    Metric(name="interface_area", label="buried surface", group=_INTERFACE, unit="Å²", better="none",
           formula="solvent-accessible surface of the chains alone less that of the complex, halved (probe 1.4 Å)",
           source="Shrake & Rupley, J. Mol. Biol. 79, 351 (1973), by biotite"),
    Metric(name="cluster", label="cluster", group=_FOLDS,
           formula="number of the structure's cluster, the largest is 1"),
    Metric(name="nearest_in_set", label="TM to the nearest of the set", group=_FOLDS, better="none",
           formula="highest TM-score to any other structure of the set, by the longer chain's length; under 0.6 a "
           "lower bound", source=_TM),
    Metric(name="nearest_tm", label="TM to the nearest reference", group=_FOLDS, better="none",
           formula="highest TM-score, by the length of the design, to a chain of the reference set among the 80 "
           "nearest to it in the space of folds; a lower bound of the true highest", source=_TM),
    Metric(name="clusters", label="clusters at TM 0.6", group=_FOLDS, scope="set", better="higher",
           formula="the structure with most others at a TM-score (by the longer chain's length) of 0.6 or more becomes "
           "a cluster with these, again and again: greedy set cover, as Foldseek clusters", source=_TM),
    Metric(name="foldseek_clusters", label="clusters at TM 0.6 by Foldseek", group=_FOLDS, scope="set", better="higher",
           formula="clusters of foldseek easy-cluster at a TM-score of 0.6; where Foldseek is installed",
           source="van Kempen et al., Nat. Biotechnol. 42, 243 (2024)"),
    Metric(name="clusters_per_structure", label="clusters a structure", group=_FOLDS, scope="set", unit="%",
           better="higher", formula="clusters over structures"),
    Metric(name="mean_pairwise_tm", label="mean pairwise TM", group=_FOLDS, scope="set", better="lower",
           source=_TM,
           formula="mean of the TM-score over pairs (600 random ones of a large set), by the longer chain's length"),
)  # fmt: skip
