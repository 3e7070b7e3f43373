"""Other packages on the toy job of `benchmarks.toy_spectra`, in the same process and on the same
data: batch 256, learning rate 5e-4, a convolutional network of 144,160 parameters, a flow of five
transforms of 64 x 2 with ten bins."""

import time

import numpy as np

from benchmarks import toy

BATCH, RATE, DRAWS, OBSERVATIONS = 256, 5e-4, 1000, 100


def convolutional(torch):
    """1-D convolutions to 32 features, 144,160 parameters."""
    nn = torch.nn
    return nn.Sequential(
        nn.Unflatten(1, (1, len(toy.WAVE))),
        nn.Conv1d(1, 16, 7, stride=4, padding=3), nn.ReLU(),
        nn.Conv1d(16, 32, 7, stride=4, padding=3), nn.ReLU(),
        nn.Conv1d(32, 64, 7, stride=4, padding=3), nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 32, 60), nn.ReLU(),
        nn.Linear(60, 32),
    )  # fmt: skip


def run_sbi(theta: np.ndarray, flux: np.ndarray, epochs: int, seed: int) -> dict:
    """Neural spline flow of the `sbi` package.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        import torch
        from sbi.inference import NPE
        from sbi.neural_nets import posterior_nn
        from sbi.utils import BoxUniform
    except ImportError as error:
        hint = "expected the package sbi: pip install '.[peers]'"
        raise ValueError(f"{hint}; got {error}") from None
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    theta, flux = torch.as_tensor(theta), torch.as_tensor(flux)
    prior = BoxUniform(*(torch.as_tensor(a, dtype=torch.float32) for a in (toy.LOW, toy.HIGH)))
    network = convolutional(torch)
    estimator = posterior_nn(
        "nsf", hidden_features=64, num_transforms=5, num_bins=10, embedding_net=network
    )
    inference = NPE(prior, density_estimator=estimator, show_progress_bars=False)
    inference.append_simulations(theta[: toy.TRAIN], flux[: toy.TRAIN])
    start = time.process_time()
    density = inference.train(
        training_batch_size=BATCH, learning_rate=RATE, validation_fraction=0.1,
        stop_after_epochs=10**6, max_num_epochs=epochs - 1,
    )  # fmt: skip
    cpu = time.process_time() - start
    test, truth = flux[-toy.TEST :], theta[-toy.TEST :]
    with torch.no_grad():
        held_out = density.log_prob(truth[None], condition=test)[0]
    start = time.process_time()
    raw = density.sample((DRAWS,), condition=test[:OBSERVATIONS]).detach().numpy()
    sampling = time.process_time() - start
    outside = ~((raw >= toy.LOW) & (raw <= toy.HIGH)).all(-1)
    return {
        "held-out mean log q": float(held_out.mean()),
        "epoch_cpu_s": cpu / epochs,
        "parameters of the convolutional network": sum(p.numel() for p in network.parameters()),
        "sample_cpu_s without rejection": sampling,
        "leakage": float(outside.mean(0).max()),
    }


PEERS = {"sbi": run_sbi}
