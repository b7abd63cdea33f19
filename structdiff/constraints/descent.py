"""The energy of ``Stereochemistry`` for one structure at a time, with its gradient written out, in numpy.

A minimisation asks for hundreds of energies of small systems, where the overhead of automatic differentiation costs ten
times the arithmetic. Every term depends on arrows between atoms: one sparse matrix makes the arrows from the positions,
and its transpose brings the forces back to the atoms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.sparse import csc_array, csr_array, eye_array, vstack
from scipy.sparse.linalg import splu

from structdiff.constraints.repulsion import CB_ACROSS, CB_ALONG_B, CB_ALONG_C, SKIN
from structdiff.constraints.stereochemistry import Stereochemistry
from structdiff.constraints.symmetry_contacts import ImageContacts, Images
from structdiff.constraints.torsion_preference import spline_weights
from structdiff.kernels import relaxation_energy
from structdiff.kernels.relaxation_energy import RelaxationEnergy

_MOMENTUM = 0.8
_SOFTEST = 1.0  # kT/Å², so that no direction is free
_GLIDE_STEP = 0.2  # Å, which no atom's step exceeds


class Descent:
    """Energy (kT) and gradient (kT/Å) at positions (atom, 3), under a harmonic restraint to ``anchor``.

    cis (bond): which bonds before proline are cis. movable (atom): the others feel no force. images: copies that move
    along with the structure. restraint (kT/Å²) and contact_weight may be changed between minimisations.
    """

    def __init__(
        self,
        model: Stereochemistry,
        anchor: np.ndarray,
        movable: np.ndarray,
        cis: np.ndarray,
        images: Images | None = None,
    ) -> None:
        self.model, self.anchor, self.movable = model, anchor, movable[:, None]
        self.images = None if images is None else ImageContacts(model.repulsion, images.near(anchor))
        self.restraint, self.contact_weight = 1.0, 1.0
        self.evaluations = 0
        count = len(anchor)
        pairs, quadruples = model.pairs.numpy(), model.quadruples.numpy()
        tails, heads = [pairs[:, 1]], [pairs[:, 0]]
        for arm in (1, 2, 3):
            tails.append(quadruples[:, 0])
            heads.append(quadruples[:, arm])
        self.preference = model.torsion_preference
        chain = np.zeros((0, 5), np.int64) if self.preference is None else self.preference.atoms.numpy()
        for place in range(4):
            tails.append(chain[:, place])
            heads.append(chain[:, place + 1])
        virtual = model.repulsion.virtual
        for tail, head in ((0, 1), (1, 2)):
            tails.append(virtual[:, tail])
            heads.append(virtual[:, head])
        self.arrows = vstack([_differences(t, h, count) for t, h in zip(tails, heads, strict=True)]).tocsr()
        self.forces_to_atoms = self.arrows.T.tocsr()
        self.bounds = np.concatenate([[0], np.cumsum([len(tail) for tail in tails])])
        self.virtual_atoms = _differences(virtual[:, 1], virtual[:, 1], count, single=True)
        self.stiffness = model.pair_stiffness.numpy()
        on_proline = model.proline_bond.numpy()
        is_cis = np.append(cis, False)[on_proline]
        self.distance = np.where(is_cis, model.cis_distance.numpy(), model.distance.numpy())
        self.volume = model.volume.numpy()
        ends = [pairs[:, 0], pairs[:, 1]], [quadruples[:, k] for k in (1, 2, 3, 0)]
        residuals = np.arange(len(pairs)), len(pairs) + np.arange(len(quadruples))
        self.jacobian_places = (
            np.concatenate([np.repeat(residuals[k], 3) for k in (0, 1) for _ in ends[k]]),
            np.concatenate([(3 * atoms[:, None] + np.arange(3)).ravel() for k in (0, 1) for atoms in ends[k]]),
        )
        self.free_coordinates = np.flatnonzero(np.repeat(movable, 3))
        self.listed_at: np.ndarray | None = None
        self.native = self._native() if relaxation_energy.available() else None

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy and gradient."""
        self.evaluations += 1
        if self.native is not None:
            return self._natively(self.native, positions)
        arrows = self.arrows @ positions
        forces = np.empty_like(arrows)
        parts = [slice(a, b) for a, b in zip(self.bounds[:-1], self.bounds[1:], strict=True)]
        energy = self._pairs(arrows, forces, parts[0])
        energy += self._volumes(arrows, forces, parts[1:4])
        energy += self._torsions(arrows, forces, parts[4:8])
        contact, direct = self._contacts(positions, arrows, forces, parts[8:10])
        away = positions - self.anchor
        energy += contact + 0.5 * self.restraint * float(np.vdot(away, away))
        gradient = self.forces_to_atoms @ forces + direct + self.restraint * away
        return energy, np.where(self.movable, gradient, 0.0)

    def _native(self) -> RelaxationEnergy:
        """The same terms for the native kernel."""
        preference, spreads = self.preference, self.model.spreads
        arrays = {
            "pair": self.model.pairs.numpy(),
            "stiffness": self.stiffness,
            "distance": self.distance,
            "quadruple": self.model.quadruples.numpy(),
            "volume": self.volume,
            "torsion": np.zeros((0, 5)) if preference is None else preference.atoms.numpy(),
            "kind": np.zeros(0) if preference is None else preference.kind.numpy(),
            "table": np.zeros((0, 1, 1)) if preference is None else preference.table.numpy(),
            "backbone": self.model.repulsion.virtual,
            "movable": self.movable[:, 0],
            "anchor": self.anchor,
        }
        numbers = {
            "volume_spread": spreads.volume,
            "torsion_weight": spreads.torsion_preference,
            "overlap_spread": spreads.overlap,
            "along_b": CB_ALONG_B,
            "along_c": CB_ALONG_C,
            "across": CB_ACROSS,
        }
        return RelaxationEnergy(bins=arrays["table"].shape[-1], arrays=arrays, numbers=numbers)

    def _natively(self, native: RelaxationEnergy, positions: np.ndarray) -> tuple[float, np.ndarray]:
        sites = native.with_virtual(positions)
        slopes, between = np.zeros_like(sites), 0.0
        if self.contact_weight == 0:
            return native(sites, self.restraint, 0.0, np.zeros((0, 2)), np.zeros(0), slopes)
        self._list_neighbours(sites)
        if self.images is not None:
            between, slopes = self.images.energy(sites, self.contact_weight / self.model.spreads.overlap**2)
            slopes = np.ascontiguousarray(slopes)
        energy, gradient = native(sites, self.restraint, self.contact_weight, self.listed, self.contact, slopes)
        return energy + between, gradient

    def _list_neighbours(self, sites: np.ndarray) -> None:
        if self.listed_at is None or np.abs(sites - self.listed_at).max() > SKIN / 4:
            self.listed_at = sites
            self.listed, self.contact = self.model.repulsion.neighbours(sites)

    def settle(self, positions: np.ndarray, steps: int) -> np.ndarray:
        """Positions after a fixed number of cautious downhill steps with momentum.

        Each atom has the step that its own terms allow (the bound of Jacobi's method), so that nothing is decided on
        the way: neighbouring starts stay neighbours, which line searches far from a minimum do not grant.
        """
        velocity = np.zeros_like(positions)
        sizes = np.repeat((2.0, 4.0), (len(self.distance), len(self.volume)))
        rows, columns = self.jacobian_places
        for _ in range(steps):
            _, gradient = self(positions)
            if self.native is None:
                squares = self._deviation_slopes(self.arrows @ positions) ** 2 * sizes[rows]
                bound = np.bincount(columns // 3, squares, len(positions))
            else:
                bound = self.native.step_bounds(positions)
            velocity = _MOMENTUM * velocity - gradient / (bound + self.restraint + _SOFTEST)[:, None]
            positions = positions + velocity
        return positions

    def glide(self, positions: np.ndarray, dampings: Sequence[float]) -> np.ndarray:
        """Positions after one damped Gauss-Newton step for each damping (kT/Å²), none of them refused."""
        for damping in dampings:
            _, gradient = self(positions)
            step = self.inverse_curvature(positions, damping)(gradient)
            square = np.einsum("ij,ij->i", step, step) / _GLIDE_STEP**2
            positions = positions - step / np.sqrt(1 + square)[:, None]
        return positions

    def inverse_curvature(self, positions: np.ndarray, damping: float = _SOFTEST) -> Callable[[np.ndarray], np.ndarray]:
        """Steps from gradients by the Gauss-Newton curvature of bonds, angles, planes and hands, and the restraint.

        These follow the chains, so that the factors of their matrix stay sparse; contacts, which do not, are left out.
        """
        jacobian = self._jacobian(self.arrows @ positions)
        curvature = (jacobian.T @ jacobian).tocsc()
        curvature = curvature + (self.restraint + damping) * eye_array(len(self.free_coordinates), format="csc")
        divide = _division_by(curvature)
        free = self.free_coordinates

        def solve(gradient: np.ndarray) -> np.ndarray:
            step = np.zeros(gradient.size)
            step[free] = divide(gradient.ravel()[free])
            return step.reshape(gradient.shape)

        return solve

    def _jacobian(self, arrows: np.ndarray) -> csc_array:
        """Derivatives of the deviations, each over its spread, by the free coordinates."""
        rows = len(self.distance) + len(self.volume)
        whole = csc_array((self._deviation_slopes(arrows), self.jacobian_places), shape=(rows, 3 * len(self.anchor)))
        return whole if len(self.free_coordinates) == 3 * len(self.anchor) else whole[:, self.free_coordinates]

    def _deviation_slopes(self, arrows: np.ndarray) -> np.ndarray:
        """The entries of the Jacobian in the order of ``jacobian_places``."""
        pair, a, b, c = (arrows[slice(*self.bounds[k : k + 2])] for k in range(4))
        direction = pair * (np.sqrt(self.stiffness) / np.sqrt(np.einsum("ij,ij->i", pair, pair) + 1e-8))[:, None]
        spread = self.model.spreads.volume
        arms = [_cross(b, c) / spread, _cross(c, a) / spread, _cross(a, b) / spread]
        values = [direction, -direction, *arms, -(arms[0] + arms[1] + arms[2])]
        return np.concatenate([value.ravel() for value in values])

    def _pairs(self, arrows: np.ndarray, forces: np.ndarray, part: slice) -> float:
        arrow = arrows[part]
        distance = np.sqrt(np.einsum("ij,ij->i", arrow, arrow) + 1e-8)
        error = distance - self.distance
        pull = self.stiffness * error
        forces[part] = arrow * (pull / distance)[:, None]
        return 0.5 * float(pull @ error)

    def _volumes(self, arrows: np.ndarray, forces: np.ndarray, parts: list[slice]) -> float:
        a, b, c = (arrows[part] for part in parts)
        across = _cross(b, c)
        error = np.einsum("ij,ij->i", a, across) - self.volume
        pull = (error / self.model.spreads.volume**2)[:, None]
        forces[parts[0]], forces[parts[1]], forces[parts[2]] = pull * across, pull * _cross(c, a), pull * _cross(a, b)
        return 0.5 * float(error @ pull[:, 0])

    def _torsions(self, arrows: np.ndarray, forces: np.ndarray, parts: list[slice]) -> float:
        if self.preference is None or parts[0].start == parts[0].stop:
            for part in parts:
                forces[part] = 0.0
            return 0.0
        steps = [arrows[part] for part in parts]
        phi, phi_slopes = _torsion(*steps[:3])
        psi, psi_slopes = _torsion(*steps[1:])
        table, kind = self.preference.table.numpy(), self.preference.kind.numpy()
        bins = table.shape[-1]
        per_radian = bins / (2 * np.pi)
        weights, slopes, nodes = [], [], []
        for angle in (phi, psi):
            place = (angle + np.pi) * per_radian - 0.5
            whole = np.floor(place)
            value, slope = spline_weights(place - whole)
            weights.append(value)
            slopes.append(slope * per_radian)
            nodes.append((whole.astype(np.int64)[:, None] + np.arange(-1, 3)) % bins)
        values = table[kind[:, None, None], nodes[0][:, :, None], nodes[1][:, None, :]]
        over_psi = np.einsum("rpq,rq->rp", values, weights[1])
        scale = self.model.spreads.torsion_preference
        by_phi = scale * np.einsum("rp,rp->r", over_psi, slopes[0])
        by_psi = scale * np.einsum("rpq,rp,rq->r", values, weights[0], slopes[1])
        forces[parts[0]], forces[parts[3]] = by_phi[:, None] * phi_slopes[0], by_psi[:, None] * psi_slopes[2]
        forces[parts[1]] = by_phi[:, None] * phi_slopes[1] + by_psi[:, None] * psi_slopes[0]
        forces[parts[2]] = by_phi[:, None] * phi_slopes[2] + by_psi[:, None] * psi_slopes[1]
        return scale * float(np.einsum("rp,rp->", over_psi, weights[0]))

    def _contacts(
        self, positions: np.ndarray, arrows: np.ndarray, forces: np.ndarray, parts: list[slice]
    ) -> tuple[float, np.ndarray]:
        repulsion = self.model.repulsion
        if self.contact_weight == 0:
            for part in parts:
                forces[part] = 0.0
            return 0.0, np.zeros_like(positions)
        first, second = arrows[parts[0]], arrows[parts[1]]
        everything = np.concatenate([positions, repulsion.place_virtual(positions, first, second)])
        self._list_neighbours(everything)
        i, j = self.listed[:, 0], self.listed[:, 1]
        arrow = everything[i] - everything[j]
        square = np.einsum("ij,ij->i", arrow, arrow) + 1e-8
        touching = np.flatnonzero(square < self.contact**2)
        i, j, arrow, distance = i[touching], j[touching], arrow[touching], np.sqrt(square[touching])
        error = distance - self.contact[touching]
        pull = error * (self.contact_weight / self.model.spreads.overlap**2)
        force = arrow * (pull / distance)[:, None]
        gradient = np.zeros_like(everything)
        for axis in range(3):
            gradient[:, axis] = np.bincount(i, force[:, axis], len(everything))
            gradient[:, axis] -= np.bincount(j, force[:, axis], len(everything))
        energy = 0.5 * float(pull @ error)
        if self.images is not None:
            between, slopes = self.images.energy(everything, self.contact_weight / self.model.spreads.overlap**2)
            energy, gradient = energy + between, gradient + slopes
        count = len(positions)
        on_virtual = gradient[count:]
        forces[parts[0]], forces[parts[1]] = repulsion.virtual_slopes(first, second, on_virtual)
        direct = gradient[:count] + self.virtual_atoms.T @ on_virtual
        return energy, direct


def _division_by(curvature: csc_array) -> Callable[[np.ndarray], np.ndarray]:
    """The inverse of a sparse positive matrix, applied to vectors; of its diagonal where that is all there is of it.

    Atoms that a sampler threw hundreds of Å apart leave numbers so unlike that rounding makes the matrix singular.
    """
    try:
        return splu(curvature, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}).solve
    except RuntimeError:
        diagonal = curvature.diagonal()
        return lambda vector: vector / diagonal


def _differences(tail: np.ndarray, head: np.ndarray, count: int, *, single: bool = False) -> csr_array:
    """The matrix that takes positions to arrows from tail to head; with ``single``, to the heads themselves."""
    rows = len(tail)
    if single:
        return csr_array((np.ones(rows), head, np.arange(rows + 1)), shape=(rows, count))
    columns = np.stack([tail, head], 1).ravel()
    return csr_array((np.tile([-1.0, 1.0], rows), columns, 2 * np.arange(rows + 1)), shape=(rows, count))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    out = np.empty_like(a)
    for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        out[:, x] = a[:, y] * b[:, z] - a[:, z] * b[:, y]
    return out


def _torsion(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Torsion (radian) about the second of three arrows in a row, and its derivatives (Blondel & Karplus 1996)."""
    left, right = _cross(a, b), _cross(b, c)
    axis_square = np.einsum("ij,ij->i", b, b)
    axis = np.sqrt(axis_square)
    sine = axis * np.einsum("ij,ij->i", a, right)
    angle = np.arctan2(sine, np.einsum("ij,ij->i", left, right))
    by_a = left * (axis / np.maximum(np.einsum("ij,ij->i", left, left), 1e-6))[:, None]
    by_c = right * (axis / np.maximum(np.einsum("ij,ij->i", right, right), 1e-6))[:, None]
    share_a = (np.einsum("ij,ij->i", a, b) / axis_square)[:, None]
    share_c = (np.einsum("ij,ij->i", c, b) / axis_square)[:, None]
    return angle, (by_a, -share_a * by_a - share_c * by_c, by_c)
