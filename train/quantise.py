"""Quantisation after training: a graph with 8-bit convolutions."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from train.cost import needed

BATCH = 16
BETWEEN = ("Add", "Clip", "Conv", "Relu")
"""What is done in 8 bits. Clip and Relu cost nothing then: they become the range of their map. Depthwise convolutions
are among them: one in float32 between maps in 8 bits has its weights rounded by ONNX Runtime, and not by channel."""

_EIGHT_BITS = {"quant_type": quantization.QuantType.QInt8, "symmetric": True, "reduce_range": False, "axis": 0}


def quantised(model: onnx.ModelProto, output: str, images: NDArray[np.uint8]) -> onnx.ModelProto:
    """A graph with 8-bit convolutions: static, weights by output channel, in the form QDQ.

    Weights are signed, maps unsigned. Processors with VNNI (and those of ARM with dot products) add such products in
    32 bits. Older ones with AVX2 or AVX-512 add pairs of them in 16 bits, which overflows in silence, so that the same
    file could score otherwise there. Weights have 7 bits, which cannot overflow: the same numbers everywhere. Those of
    depthwise convolutions, whose sums ONNX Runtime always makes in 32 bits, have 8: that halves the noise.

    Args:
        model: in float32.
        output: convolutions on the way to it are quantised.
        images: uint8 [N, S, S] at its input size, to find the range of each map.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, result = (Path(folder) / name for name in ("source", "prepared", "result"))
        onnx.save(model, source)
        quant_pre_process(source, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared,
            result,
            _Batches(images),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_quantize=_convolutional(model, output),
            extra_options={"TensorQuantOverrides": {name: [_EIGHT_BITS] for name in _depthwise_weights(model)}},
        )
        return onnx.load(result)


class _Batches(quantization.CalibrationDataReader):
    """Hands out pictures, a batch at a time."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._starts = iter(range(0, len(images), BATCH))
        self._images = images

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch, or None after the last."""
        start = next(self._starts, None)
        return None if start is None else {"images": self._images[start : start + BATCH]}


def _convolutional(model: onnx.ModelProto, output: str) -> list[str]:
    """Names of the nodes that make maps [N, C, H, W] on the way to an output, after the first convolution.

    That one sees a single channel, which is slower in 8 bits than in float32.
    """
    graph = onnx.shape_inference.infer_shapes(model).graph
    maps = {each.name for each in graph.value_info if len(each.type.tensor_type.shape.dim) == 4}
    on_the_way = [node for node in needed(graph, [output]) if node.output[0] in maps]
    second = [place for place, node in enumerate(on_the_way) if node.op_type == "Conv"][1]
    return [node.name for node in on_the_way[second:] if node.op_type in BETWEEN]


def _depthwise_weights(model: onnx.ModelProto) -> list[str]:
    """Names of the weights of convolutions with as many groups as channels, [C, 1, H, W]."""
    groups = {
        node.input[1]: each.i
        for node in model.graph.node
        for each in node.attribute
        if node.op_type == "Conv" and each.name == "group"
    }
    return [each.name for each in model.graph.initializer if each.dims[:2] == [groups.get(each.name), 1]]
