"""Sequences made up by trRosetta: changed until the network is as sure as can be of how they fold.

Anishchenko et al., Nature 600, 547 (2021), with gradients in place of random steps (Norn et al., PNAS 118, 2021);
around a motif as Tischer et al., bioRxiv 2020.11.29.402743. Three of the networks take part; two are left to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from structdiff.kernels.result_memory import all_kept
from structdiff.trrosetta.alignment import ALPHABET
from structdiff.trrosetta.geometry import classes_of, pair_geometry
from structdiff.trrosetta.network import CLASSES, NETWORKS, TrRosetta, load_networks
from structdiff.typing import Bool, Float

#: The networks that make sequences up; what they are sure of is judged by the others.
MAKERS = NETWORKS[:3]
JUDGES = NETWORKS[3:]
#: Steps of the descent, more around a motif, which is harder to agree with; how far each goes at first, and how much
#: less at the end; how much the motif counts.
STEPS, STEPS_AROUND_MOTIF = 60, 120
_RATE, _SLOWER, _MOTIF = 0.5, 0.8, 6.0
_SPREAD = 0.01  # of the first logits
_BACKGROUND = 6  # random sequences that tell what is expected of none in particular
_NEVER = ("C",)  # free cysteines would bond to anything
_FLOOR = 1e-9
#: How often it is tried until this many contacts a residue, so many residues apart, are expected; classes within 8 Å.
_TRIES, _FEWEST_CONTACTS, _APART = 4, 0.5, 12
_WITHIN_8 = slice(1, 13)

OnStep = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """What a chain has to hold: which residues (bool a residue), their letters in order, and N, CA, CB (Å) of each.

    The letter is X where any amino acid will do.
    """

    places: Bool[Tensor, " residue"]
    letters: str
    n: Float[Tensor, "held 3"]
    ca: Float[Tensor, "held 3"]
    cb: Float[Tensor, "held 3"]


def hallucinate(
    residues: int, generator: torch.Generator, site: Site | None = None, on_step: OnStep | None = None
) -> str:
    """A sequence of that many residues whose fold the networks are sure of, and in which a site has its shape.

    Sureness is the divergence of what is expected of each pair from what is expected of random sequences; the site's
    own distances and orientations are to be likely. The best sequence on the way is taken. Networks are as sure of one
    long helix, so where hardly any contacts are expected it is made up anew, some times. Roundings decide which it is,
    so that the same generator gives the same one with the same number of threads.
    """
    # Whoever calls may have switched gradients off.
    with torch.inference_mode(False), torch.enable_grad(), all_kept():
        networks, usual = load_networks()[: len(MAKERS)], _background(residues)
        asked = None if site is None else _Asked(site, residues)
        best, most = "", -1.0
        for _ in range(_TRIES):
            letters = _descended(networks, usual, residues, generator, asked, on_step)
            contacts = _contacts(networks, letters)
            if contacts > most:
                best, most = "".join(ALPHABET[place] for place in letters.argmax(-1).tolist()), contacts
            if most >= _FEWEST_CONTACTS:
                break
        return best


def _contacts(networks: tuple[TrRosetta, ...], letters: Float[Tensor, "residue letter"]) -> float:
    """Contacts a residue (CB within 8 Å, a dozen residues apart) that the networks expect, in their mean."""
    place = torch.arange(len(letters))
    apart = place[:, None] - place >= _APART
    with torch.no_grad():
        answers = [network(_channels(letters)[None])["distance"][0].softmax(-1) for network in networks]
    near = torch.stack(answers).mean(0)[..., _WITHIN_8].sum(-1)
    return 2.0 * float(near[apart].sum()) / len(letters)


def _descended(
    networks: tuple[TrRosetta, ...],
    usual: Mapping[str, Tensor],
    residues: int,
    generator: torch.Generator,
    asked: _Asked | None,
    on_step: OnStep | None,
) -> Float[Tensor, "residue letter"]:
    logits = _SPREAD * torch.randn(residues, len(ALPHABET), generator=generator)
    logits[:, [ALPHABET.index(letter) for letter in _NEVER]] = -torch.inf
    counted = ~torch.eye(residues, dtype=torch.bool) if asked is None else asked.others
    steps = STEPS if asked is None else STEPS_AROUND_MOTIF
    least, best = float("inf"), _one_hot(logits)
    for step in range(steps):
        logits.requires_grad_()
        letters = _one_hot(logits) if asked is None else asked.in_place(_one_hot(logits))
        # The networks by turns: what only one of them believes does not last.
        answers = networks[step % len(networks)](_channels(letters)[None])
        logs = {name: answers[name][0].log_softmax(-1) for name in CLASSES}
        loss = -_divergence(logs, usual, counted)
        if asked is not None:
            loss = loss + asked.unlikeliness(logs)
        (gradient,) = torch.autograd.grad(loss, logits)
        if loss.item() < least:
            least, best = loss.item(), letters.detach()
        length = _RATE * (1 - _SLOWER * step / steps) * residues**0.5
        logits = logits.detach() - length * gradient / gradient.norm().clamp(min=_FLOOR)
        if on_step is not None:
            on_step(step + 1, steps)
    return best


class _Asked:
    """What a site asks: its letters in their places, and its geometry."""

    def __init__(self, site: Site, residues: int) -> None:
        self.letters = torch.zeros(residues, len(ALPHABET))
        for place, letter in zip(site.places.nonzero()[:, 0].tolist(), site.letters, strict=True):
            if letter != "X":
                self.letters[place, ALPHABET.index(letter)] = 1.0
        self.known = self.letters.any(-1)
        apart = ~torch.eye(residues, dtype=torch.bool)
        within = site.places[:, None] & site.places & apart
        self.others = ~within & apart
        self.pairs = within.nonzero(as_tuple=True)
        distinct = ~torch.eye(len(site.letters), dtype=torch.bool)
        self.classes = {
            name: own[distinct] for name, own in classes_of(pair_geometry(site.n, site.ca, site.cb)).items()
        }
        self.weight = _MOTIF * float(within.float().mean()) ** 0.5

    def in_place(self, letters: Float[Tensor, "residue letter"]) -> Float[Tensor, "residue letter"]:
        return torch.where(self.known[:, None], self.letters, letters)

    def unlikeliness(self, logs: Mapping[str, Tensor]) -> Tensor:
        """Minus the mean log probability of the site's own geometry, weighted."""
        each = [logs[name][self.pairs].gather(-1, own[:, None]).mean() for name, own in self.classes.items()]
        return -self.weight * torch.stack(each).sum()


def _one_hot(logits: Float[Tensor, "residue letter"]) -> Float[Tensor, "residue letter"]:
    """The likeliest letter of each residue, with the gradient of the shares."""
    shares = logits.softmax(-1)
    return functional.one_hot(shares.argmax(-1), logits.shape[-1]) + shares - shares.detach()


def _channels(letters: Float[Tensor, "residue letter"]) -> Float[Tensor, "residue channel"]:
    """What `alignment_channels` gives of a sequence alone, with a gradient: its column's entropy is none."""
    profile = functional.pad(letters, (0, 1)) + _FLOOR
    return torch.cat([letters, profile, profile.new_zeros(len(profile), 1)], -1)


def _divergence(logs: Mapping[str, Tensor], usual: Mapping[str, Tensor], counted: Bool[Tensor, "i j"]) -> Tensor:
    """Of what is expected from the usual (Kullback and Leibler), the mean of pairs, the sum of the four answers."""
    each = [(own.exp() * (own - usual[name])).sum(-1)[counted].mean() for name, own in logs.items()]
    return torch.stack(each).sum()


@lru_cache(maxsize=4)
def _background(residues: int) -> dict[str, Float[Tensor, "i j class"]]:
    """Log probabilities that the networks give pairs of random sequences, by how far apart they are in them."""
    generator = torch.Generator().manual_seed(0)
    networks = load_networks()[: len(MAKERS)]
    total = {name: torch.zeros(residues, residues, count) for name, count in CLASSES.items()}
    with torch.no_grad():
        for number in range(_BACKGROUND):
            drawn = torch.randint(0, len(ALPHABET), (residues,), generator=generator)
            letters = functional.one_hot(drawn, len(ALPHABET)).float()
            answers = networks[number % len(networks)](_channels(letters)[None])
            for name in CLASSES:
                total[name] += answers[name][0].softmax(-1)
    place = torch.arange(residues)
    separation = place - place[:, None] + residues - 1
    return {name: _mean_by(separation, own) for name, own in total.items()}


def _mean_by(separation: Tensor, shares: Float[Tensor, "i j class"]) -> Float[Tensor, "i j class"]:
    """Logs of the shares of all pairs of one separation."""
    found = shares.new_zeros(int(separation.max()) + 1, shares.shape[-1])
    found.index_add_(0, separation.flatten(), shares.flatten(0, 1))
    found = found / found.sum(-1, keepdim=True)
    return (found + 1e-8).log()[separation]
