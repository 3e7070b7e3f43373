"""Devices: one mesh of all of them, on one host or several, and who writes files."""

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def start(address: str | None = None, processes: int | None = None, rank: int | None = None):
    """Join several processes to one run, before anything else is computed.

    Under Slurm and the like, where JAX finds the others by itself, no argument is needed.

    Args:
        address: ``host:port`` of the first process.
        processes: How many there are.
        rank: Number of this one.
    """
    jax.distributed.initialize(address, processes, rank)


def writes() -> bool:
    """Whether this process is the one that writes files."""
    return jax.process_index() == 0


def mesh(batch: int) -> Mesh:
    """All devices along one data axis.

    Raises:
        ValueError: If the batch is not a multiple of their number.
    """
    devices = jax.device_count()
    if batch % devices:
        raise ValueError(f"expected a batch divisible by {devices} devices; got {batch}")
    # Auto axes: flowjax's scans raise under explicit sharding.
    return jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,))

def replicated(devices: Mesh) -> NamedSharding:
    """The whole of an array on every device."""
    return NamedSharding(devices, PartitionSpec())


def sharded(devices: Mesh) -> NamedSharding:
    """Rows shared out among the devices."""
    return NamedSharding(devices, PartitionSpec("data"))
