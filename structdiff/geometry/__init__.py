"""Points in space, batched and differentiable: rotations, superposition, frames, distances, torsions, handedness.

Positions are in Å with the three components last; angles are in radian. Leading axes are free.
"""
