"""Networks from ONNX files, as torch modules with gradients (extra `onnx`)."""

import math
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn

from energylens.errors import UserError, first_line
from energylens.models import onnx_compare
from energylens.models.onnx_graph import OPSET, constants, library, written_down

SIDE = 4096
"""largest side of an image, and most channels"""
VALUES = 3 * SIDE**2
"""most values of an image"""


def load(path: Path) -> nn.Module:
    """The network of an ONNX graph with one input [B, C, H, W], in eval mode.

    Raises:
        UserError: the extra is not installed, the file is broken, reaches outside its folder, uses what
            onnx2torch lacks, was exported for one batch size or in training mode, or gives other logits in torch
            than in onnxruntime.
    """
    graph = _read(path)
    shape = _images(path, graph)
    _not_training(path, graph)
    onnx2torch = library("onnx2torch")
    _repair_slices(library("onnx2torch.node_converters.slice"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # onnx2torch's own deprecations
            net = onnx2torch.convert(written_down(graph)).eval()
    except NotImplementedError as error:
        raise UserError(
            f"{path} uses what onnx2torch cannot convert ({first_line(error)}); "
            f"export it with torch.onnx.export(..., dynamo=False, opset_version={OPSET})"
        ) from error
    except Exception as error:  # the library's own refusals
        raise UserError(f"{path} cannot be converted to torch ({first_line(error)})") from error
    onnx_compare.compare(path, graph, net, shape)
    return net


def _repair_slices(slices: Any) -> None:
    """onnx2torch 1.5.15 indexes by a list of slices, which torch is about to read otherwise."""
    if not hasattr(slices, "_by_lists"):
        slices._by_lists = slices._do_slice
        slices._do_slice = lambda x, flips, *places: slices._by_lists(x, flips, *map(tuple, places))


def _read(path: Path) -> Any:
    onnx = library("onnx")
    try:
        graph = onnx.load(path, load_external_data=False)
    except Exception as error:  # google.protobuf's, OSError
        raise UserError(f"{path} cannot be read as ONNX ({first_line(error)}); is it whole?") from error
    if not graph.graph.node:
        raise UserError(f"{path} holds an ONNX graph without a single operation; is it whole?")
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            place = PurePosixPath(entry.value.replace("\\", "/"))
            if entry.key == "location" and (place.is_absolute() or ".." in place.parts):
                raise UserError(f"{path} wants to read {entry.value}, outside its own folder; nothing was read")
    try:
        onnx.load_external_data_for_model(graph, str(path.absolute().parent))
        onnx.checker.check_model(graph)
    except Exception as error:
        raise UserError(f"{path} cannot be read as ONNX ({first_line(error)}); are all its files there?") from error
    return graph


def _images(path: Path, graph: Any) -> list[int]:
    """The shape [B, C, H, W] of the graph's only input, 0 where it is free."""
    fixed = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value.type.tensor_type for value in graph.graph.input if value.name not in fixed]
    if len(inputs) != 1:
        raise UserError(f"{path} has {len(inputs)} inputs; wanted one of images [B, C, H, W]")
    shape = [size.dim_value for size in inputs[0].shape.dim]
    if len(shape) != 4:
        raise UserError(f"{path} reads an input of {len(shape)} axes; wanted images [B, C, H, W]")
    if len(graph.graph.output) != 1:
        raise UserError(f"{path} has {len(graph.graph.output)} outputs; export a network that returns its logits only")
    types = library("onnx").TensorProto
    if inputs[0].elem_type != types.FLOAT:
        kind = types.DataType.Name(inputs[0].elem_type)
        raise UserError(
            f"{path} reads images of type {kind}, but energies are measured in float32; "
            "export it from float32: torch.onnx.export(net.float(), images.float(), ...)"
        )
    if any(not 0 <= size <= SIDE for size in shape) or math.prod(size or 1 for size in shape) > VALUES:
        raise UserError(f"{path} reads images {shape}; wanted sides of 1 to {SIDE} pixels, {VALUES} values in all")
    return shape


def _not_training(path: Path, graph: Any) -> None:
    """Dropout or BatchNorm in training mode would mix the images of a batch, or give other logits every time."""
    known = constants(graph)
    is_true = lambda name: name in known and library("onnx.numpy_helper").to_array(known[name]).any()  # noqa: E731
    for node in graph.graph.node:
        dropping = node.op_type == "Dropout" and len(node.input) == 3 and is_true(node.input[2])
        if dropping or any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute):
            raise UserError(
                f"{path} was exported in training mode ({node.op_type}); export it with "
                "torch.onnx.export(net.eval(), ..., training=torch.onnx.TrainingMode.EVAL)"
            )
