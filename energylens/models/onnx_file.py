"""Networks from ONNX files, as torch modules with gradients (extra `onnx`)."""

import warnings
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import nn

from energylens.errors import UserError, first_line

OPSET = 17
"""the newest operators that onnx2torch knows all of; newer graphs are written down to it"""
REDUCTIONS = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd")
TRY = 32
"""side of the images that a graph of free size is tried with"""


def load(path: Path) -> nn.Module:
    """The network of an ONNX graph with one input [B, C, H, W], in eval mode.

    Raises:
        UserError: the extra is not installed, the file is broken, reaches outside its folder, uses what
            onnx2torch lacks, or was exported for one batch size.
    """
    graph = _read(path)
    onnx2torch = _library("onnx2torch")
    _repair_slices(_library("onnx2torch.node_converters.slice"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # onnx2torch's own deprecations
            net = onnx2torch.convert(_written_down(graph)).eval()
    except NotImplementedError as error:
        raise UserError(
            f"{path} uses what onnx2torch cannot convert ({first_line(error)}); export it with opset_version={OPSET}"
        ) from error
    except Exception as error:  # the library's own refusals
        raise UserError(f"{path} cannot be converted to torch ({first_line(error)})") from error
    _check_batches(path, graph, net)
    return net


def _without_identities(graph: Any) -> Any:
    """Exporters share equal weights by Identity, through which onnx2torch does not look."""
    kept = {value.name for value in graph.graph.output}
    same = {
        node.output[0]: node.input[0]
        for node in graph.graph.node
        if node.op_type == "Identity" and node.output[0] not in kept
    }
    short = type(graph)()
    short.CopyFrom(graph)
    del short.graph.node[:]
    for node in graph.graph.node:
        if node.op_type == "Identity" and node.output[0] in same:
            continue
        copied = short.graph.node.add()
        copied.CopyFrom(node)
        for place, name in enumerate(node.input):
            while name in same:
                name = same[name]
            copied.input[place] = name
    return short


def _written_down(graph: Any) -> Any:
    """The same graph in operators that onnx2torch knows, where they can say it.

    Newer operators mostly take more types; the axes of reductions became an input. What they say otherwise does
    not pass the check as older ones, and the graph is left as it is.
    """
    graph = _without_identities(graph)
    newest = max((opset.version for opset in graph.opset_import if not opset.domain), default=0)
    if newest <= OPSET:
        return graph
    older = type(graph)()
    older.CopyFrom(graph)
    numpy = _library("onnx.numpy_helper")
    values = {tensor.name: numpy.to_array(tensor) for tensor in older.graph.initializer}
    values |= {
        node.output[0]: numpy.to_array(node.attribute[0].t)
        for node in older.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    for node in older.graph.node:
        if node.op_type in REDUCTIONS and len(node.input) == 2 and node.input[1] in values:
            axes = values[node.input[1]].tolist()
            node.attribute.append(_library("onnx.helper").make_attribute("axes", axes))
            del node.input[1]
    for opset in older.opset_import:
        if not opset.domain:
            opset.version = OPSET
    try:
        _library("onnx.checker").check_model(older)
    except Exception:  # onnx2torch says which operator it lacks
        return graph
    return older


def _library(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError("ONNX files need two more packages; type: pip install 'energylens[onnx]'") from error


def _repair_slices(slices: Any) -> None:
    """onnx2torch 1.5.15 indexes by a list of slices, which torch is about to read otherwise."""
    if not hasattr(slices, "_by_lists"):
        slices._by_lists = slices._do_slice
        slices._do_slice = lambda x, flips, *places: slices._by_lists(x, flips, *map(tuple, places))


def _read(path: Path) -> Any:
    onnx = _library("onnx")
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


def _check_batches(path: Path, graph: Any, net: nn.Module) -> None:
    """Whether two images at once give two rows."""
    fixed = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value for value in graph.graph.input if value.name not in fixed]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        raise UserError(f"{path} has {len(inputs)} inputs; wanted one of images [B, C, H, W]")
    shape = [size.dim_value for size in inputs[0].type.tensor_type.shape.dim]
    x = torch.rand(2, shape[1] or 3, shape[2] or TRY, shape[3] or TRY)
    try:
        with torch.no_grad():
            rows = net(x)
        whole = not isinstance(rows, torch.Tensor) or len(rows) == 2
    except Exception:
        if not shape[0]:
            return  # made for other images, maybe: the check of the model says it better
        whole = False
    if not whole:
        raise UserError(
            f"{path} was exported for batches of {shape[0] or 1}; export it with a free batch size: "
            "torch.onnx.export(..., dynamic_axes={'input': {0: 'batch'}})"
        )
