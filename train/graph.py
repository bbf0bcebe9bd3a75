"""A network as an ONNX graph, and what it says in ONNX Runtime, which on a CPU is many times faster than PyTorch."""

import logging
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pneumoscan.runtime import CPU_PROVIDER, onnxruntime
from train.network import Network, Reading

BATCH = 16


class Seen(NamedTuple):
    """What a network sees in N pictures: logits float32 [N, 3] and texture float32 [N, T] (see `Reading`)."""

    logits: NDArray[np.float32]
    texture: NDArray[np.float32]


Read = Callable[[NDArray[np.uint8]], Seen]
"""From pictures uint8 [N, S, S]."""


def reading_graph(network: Network, size: int) -> onnx.ModelProto:
    """A network in evaluation mode as a graph with the outputs of `Seen`, for pictures of `size` by `size`."""
    return to_onnx(_Reader(network).eval(), size, list(Seen._fields))


def reader(graph: onnx.ModelProto) -> Read:
    """Runs a graph of `reading_graph`."""
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=[CPU_PROVIDER])

    def read(images: NDArray[np.uint8]) -> Seen:
        starts = range(0, len(images), BATCH)
        batches = [session.run(list(Seen._fields), {"images": images[start : start + BATCH]}) for start in starts]
        return Seen(*(np.concatenate(each) for each in zip(*batches, strict=True)))

    return read


class _Reader(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        seen: Reading = self.network.read(images)
        return seen.logits, seen.texture


def to_onnx(module: nn.Module, size: int, outputs: list[str]) -> onnx.ModelProto:
    """The graph of a module that takes `images`, uint8 [N, size, size] for any N, and has the named outputs."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of a package that is not needed
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)  # inside torch.onnx
        program = torch.onnx.export(
            module,
            (torch.zeros(2, size, size, dtype=torch.uint8),),
            input_names=["images"],
            output_names=outputs,
            dynamic_shapes={"images": {0: torch.export.Dim("N")}},
            dynamo=True,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto  # made anew at each access
    _strip_traces(model.graph)
    return model


def _strip_traces(graph: onnx.GraphProto) -> None:
    """Removes what PyTorch notes of the code behind each node: the exporting machine's paths, for one."""
    for part in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
