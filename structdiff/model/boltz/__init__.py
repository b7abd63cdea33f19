"""Boltz-2's network, for its published weights.

Passaro, Corso, Wohlwend et al. 2025 (doi 10.1101/2025.06.14.659707).
"""
