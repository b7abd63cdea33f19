"""Sequences for given backbones: ProteinMPNN and LigandMPNN, and the packing of side chains."""
