"""Networks by name: what an architecture or a model file may ask for."""

from flowspec.networks.aligned import AlignedNetwork, Architecture
from flowspec.networks.lines import LineArchitecture, LineNetwork
from flowspec.networks.network import Network
from flowspec.networks.transformer import TransformerNetwork
from flowspec.networks.vector import VectorArchitecture, VectorNetwork

NETWORKS: dict[str, type[Network]] = {
    "aligned": AlignedNetwork,
    "lines": LineNetwork,
    "vector": VectorNetwork,
    "transformer": TransformerNetwork,
}
# What is taken where nothing is asked for, by the kind of the frame.
DEFAULTS = {"pixels": Architecture(), "lines": LineArchitecture(), "columns": VectorArchitecture()}


def network_of(name: str) -> type[Network]:
    """The network of a name in `NETWORKS`.

    Raises:
        ValueError: On an unknown name.
    """
    if name not in NETWORKS:
        raise ValueError(f"expected a network among {sorted(NETWORKS)}; got {name!r}")
    return NETWORKS[name]
