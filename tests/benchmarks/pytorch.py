"""The same network in PyTorch, fed by a DataLoader with a worker process for each core: what people write next.

    python tests/benchmarks/pytorch.py MODEL FOLDER SIZE PROVIDER...

Called and answering as pneumoscan/benchmark/naive.py. The network is built by train/ after the name on the model's
card, with random weights, which cost what any others cost; the gate and the heatmap of the model file are left out.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from pneumoscan.limits import available_cores
from pneumoscan.model import Model
from train.network import Network
from train.settings import NETWORKS

BATCH_SIZE = 32


class Folder(Dataset[torch.Tensor]):
    """Pictures as uint8 [size, size], grey."""

    def __init__(self, folder: str, size: int) -> None:
        self._paths = sorted(Path(folder).iterdir())
        self._size = size

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: int) -> torch.Tensor:
        image = Image.open(self._paths[place]).convert("L").resize((self._size, self._size))
        return torch.from_numpy(np.array(image))


def main(model: str, folder: str, size: int, providers: list[str]) -> None:
    """Scores every picture of a folder."""
    name = Model(model, "cpu").card.name
    if name not in NETWORKS:
        sys.exit(f"train/ knows no network {name}, only {', '.join(NETWORKS)}")
    device = "cuda" if "CUDAExecutionProvider" in providers else "cpu"
    network = Network(size, pretrained=False, network=name).eval().to(device)
    begun, cpu_begun = time.perf_counter(), cpu_seconds()
    scored = 0
    loader = DataLoader(Folder(folder, size), BATCH_SIZE, num_workers=available_cores(), pin_memory=device == "cuda")
    with torch.inference_mode():
        for batch in loader:
            scored += len(network(batch.to(device))[0].softmax(1).cpu())
    used = {"seconds": time.perf_counter() - begun, "cpu_seconds": cpu_seconds() - cpu_begun}
    print(json.dumps({"images": scored, **used}))


def cpu_seconds() -> float:
    """Of this process and of its workers that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:])
