"""Constraints on positions: what is enforced, what is preferred, and whether it was met."""
