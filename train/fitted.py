"""What a fit has made: who was held out, and its networks as they are scanned with."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train import dataset, saved
from train.dataset import Sample
from train.errors import FitError
from train.graph import Read, reader, reading_graph
from train.network import Network
from train.quantise import quantised
from train.settings import Settings, check_identity, identify
from train.stress import stress

RANGE_PICTURES = 256
"""Training pictures by which the range of each map in 8 bits is found, plain and as many stressed."""
SEED = 3


@dataclass(frozen=True)
class Fitted:
    """The networks of a fit.

    Attributes:
        run: its folder.
        settings: it was made with.
        samples, pixels: it was made from (see `train.fit.fit`): N pictures' labels and groups, and uint8 [N, H, W].
        size: side at which pictures are scanned, in pixels.
        int8: whether its networks are read with convolutions in 8 bits (see `train.quantise`).
    """

    run: Path
    settings: Settings
    samples: list[Sample]
    pixels: NDArray[np.uint8]
    size: int
    int8: bool = False
    _readers: dict[str, Read] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        """In which fold each picture was held out, [N]."""
        return dataset.assign_folds(self.samples, self.settings.folds, self.settings.seed)

    @cached_property
    def identity(self) -> dict[str, object]:
        """What each of its files was made from (see `train.settings.identify`)."""
        return identify(self.samples, self.pixels, self.settings, self.folds)

    @property
    def read_identity(self) -> dict[str, object]:
        """The identity, and how the networks are read: what figures of this fit are of."""
        return self.identity | {"read": {"size": self.size, "int8": self.int8}}

    @cached_property
    def labels(self) -> NDArray[np.intp]:
        """What each picture shows, [N] (see `train.dataset.labels_of`)."""
        return dataset.labels_of(self.samples)

    @cached_property
    def groups(self) -> NDArray[np.str_]:
        """Patient of each picture, [N]."""
        return np.array([sample.group for sample in self.samples])

    def trained_on(self, part: str) -> NDArray[np.intp]:
        """Positions of the pictures that the network of a part (see `train.fit.parts`) was trained on, ascending."""
        return np.flatnonzero([f"fold{fold}" != part for fold in self.folds])

    def network(self, part: str) -> Network:
        """The network of a part in evaluation mode on the CPU.

        Raises:
            FitError: not finished, damaged, or of other pictures, settings or patients held out.
        """
        weights = self.weights(part)
        network = Network(self.size, pretrained=False, network=self.settings.network)
        network.load_state_dict(weights)
        return network.eval()

    def weights(self, part: str) -> dict[str, Any]:
        """The state of the network of a part.

        Raises:
            FitError: as of `network`.
        """
        content = _load(self.run, part)
        check_identity(content, self.identity, self.run / part)
        return content["weights"]

    def reader(self, part: str) -> Read:
        """Runs the network of a part as it is scanned with.

        Raises:
            FitError: as of `network`.
        """
        if part not in self._readers:
            graph = reading_graph(self.network(part), self.size)
            if self.int8:
                graph = quantised(graph, "logits", self.range_images(part))
            self._readers[part] = reader(graph)
        return self._readers[part]

    def range_images(self, part: str) -> NDArray[np.uint8]:
        """Views of pictures that a part was trained on, by which ranges of maps are found: uint8 [M, size, size]."""
        places = np.random.default_rng(SEED).permutation(self.trained_on(part))[:RANGE_PICTURES]
        views = dataset.resize(self.pixels[places], self.size), stress(self.pixels[places], self.size, SEED, places)
        return np.concatenate(views)


def open_fit(run: Path, samples: list[Sample], pixels: NDArray[np.uint8], size: int, *, int8: bool = False) -> Fitted:
    """The networks of a finished fit; arguments as of `Fitted`.

    Raises:
        FitError: not finished, or damaged.
    """
    return Fitted(run, Settings(**_load(run, "all")["settings"]), samples, pixels, size, int8)


def _load(run: Path, part: str) -> dict[str, Any]:
    path = run / part / "weights.pt"
    if not path.exists():
        raise FitError(f"{path} is missing; run or resume the fit first")
    return saved.load(path)
