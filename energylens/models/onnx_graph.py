"""ONNX graphs said in operators that onnx2torch knows (extra `onnx`)."""

import importlib
import math
from typing import Any

import numpy as np

from energylens.errors import UserError

OPSET = 17
"""the newest operators that onnx2torch knows all of; newer graphs are written down to it"""
TANH_SCALE = math.sqrt(2 / math.pi)
GELU = {
    "none": (("scaled", "Mul", "x", math.sqrt(1 / 2)), ("curve", "Erf", "scaled")),
    "tanh": (
        ("square", "Mul", "x", "x"),
        ("bent", "Mul", "square", 0.044715 * TANH_SCALE),
        ("slope", "Add", "bent", TANH_SCALE),
        ("scaled", "Mul", "x", "slope"),
        ("curve", "Tanh", "scaled"),
    ),
}
"""the two forms of Gelu (opset 20) up to their curve c, as output, operation, inputs; both end in x / 2 * (1 + c)"""
END = (("risen", "Add", "curve", 1.0), ("half", "Mul", "x", 0.5), ("y", "Mul", "half", "risen"))


def library(name: str) -> Any:
    """A package of the extra `onnx`.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError("ONNX files need more packages; type: pip install 'energylens[onnx]'") from error


def written_down(graph: Any) -> Any:
    """The same graph in operators that onnx2torch knows, where they can say it.

    Newer operators mostly take more types; some attributes became inputs. What they say otherwise does not pass the
    check as older ones, and the graph is left as it is: onnx2torch says which operator it lacks.
    """
    older = _spelt_out(graph)
    facts = Facts(older)
    for node in older.graph.node:
        if node.op_type in REWRITES and not node.domain:
            REWRITES[node.op_type](node, facts)
    for opset in older.opset_import:
        if not opset.domain:
            opset.version = min(opset.version, OPSET)
    try:
        library("onnx.checker").check_model(older)
    except Exception:
        return graph
    return older


def _spelt_out(graph: Any) -> Any:
    """A copy without functions, Identity and Gelu."""
    whole = library("onnx.inliner").inline_local_functions(graph) if graph.functions else graph
    short = type(graph)()
    short.CopyFrom(whole)
    del short.graph.node[:]
    same = _copies(whole)
    for node in whole.graph.node:
        if node.op_type == "Identity" and node.output[0] in same:
            continue
        copied = type(node)()
        copied.CopyFrom(node)
        for place, name in enumerate(node.input):
            while name in same:
                name = same[name]
            copied.input[place] = name
        is_gelu = node.op_type == "Gelu" and not node.domain
        short.graph.node.extend(_gelu(copied, short.graph.initializer) if is_gelu else [copied])
    return short


def _copies(graph: Any) -> dict[str, str]:
    """Exporters share equal weights by Identity, through which onnx2torch does not look."""
    kept = {value.name for value in graph.graph.output}
    return {
        node.output[0]: node.input[0]
        for node in graph.graph.node
        if node.op_type == "Identity" and node.output[0] not in kept
    }


def _gelu(node: Any, initializers: Any) -> list[Any]:
    """The operations of GELU, for one node."""
    form = next((attribute.s.decode() for attribute in node.attribute if attribute.name == "approximate"), "none")
    names = {"x": node.input[0], "y": node.output[0]}
    made = []
    for result, operation, *inputs in GELU[form] + END:
        taken = []
        for place, value in enumerate(inputs):
            name = names.get(value, f"{node.output[0]}_{value}") if isinstance(value, str) else None
            if name is None:
                name = f"{node.output[0]}_{result}_{place}"
                initializers.append(library("onnx.numpy_helper").from_array(np.array(value, np.float32), name))
            taken.append(name)
        out = names.get(result, f"{node.output[0]}_{result}")
        made.append(library("onnx.helper").make_node(operation, taken, [out], name=out))
    return made


def constants(graph: Any) -> dict[str, Any]:
    """The tensors that do not depend on the images, by name."""
    return {tensor.name: tensor for tensor in graph.graph.initializer} | {
        node.output[0]: node.attribute[0].t
        for node in graph.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }


class Facts:
    """What is known of the values in a graph: the constants among them, and their numbers of axes."""

    def __init__(self, graph: Any):
        self.initializers = graph.graph.initializer
        self._constants = constants(graph)
        inside = library("onnx").shape_inference.infer_shapes(graph).graph
        self.ranks = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in [*inside.input, *inside.value_info]
            if value.type.tensor_type.HasField("shape")
        }

    def constant(self, names: Any, place: int) -> np.ndarray | None:
        """The input at a place, if there is one and it is constant."""
        tensor = self._constants.get(names[place]) if place < len(names) else None
        return None if tensor is None else library("onnx.numpy_helper").to_array(tensor)

    def add(self, name: str, values: np.ndarray) -> str:
        """A new constant; returns its name."""
        self.initializers.append(library("onnx.numpy_helper").from_array(values, name))
        return name


def _drop(node: Any, name: str, *values: int) -> None:
    """Leave out an attribute, where it has one of these values."""
    for attribute in [attribute for attribute in node.attribute if attribute.name == name]:
        if attribute.i in values:
            node.attribute.remove(attribute)


def _reduction(node: Any, facts: Facts) -> None:
    """Axes became an input in opset 18. Negative ones, onnx2torch 1.5.15 loses count of in maxima and minima."""
    _drop(node, "noop_with_empty_axes", 0)
    axes = facts.constant(node.input, 1)
    if axes is not None:
        del node.input[1]
        if axes.size:
            node.attribute.append(library("onnx.helper").make_attribute("axes", axes.tolist()))
    rank = facts.ranks.get(node.input[0])
    for attribute in node.attribute:
        if attribute.name == "axes" and rank:
            attribute.ints[:] = [axis % rank for axis in attribute.ints]


def _pad(node: Any, facts: Facts) -> None:
    """Pads of some axes, new in opset 18, become pads of all."""
    rank, pads, axes = facts.ranks.get(node.input[0]), facts.constant(node.input, 1), facts.constant(node.input, 3)
    if rank and pads is not None and axes is not None:
        full = np.zeros((2, rank), np.int64)
        full[:, axes] = pads.reshape(2, -1)
        node.input[1] = facts.add(f"{node.output[0]}_pads", full.reshape(-1))
        node.input[3] = ""
    while not node.input[-1]:
        del node.input[-1]


def _reshape(node: Any, facts: Facts) -> None:
    """What a 0 in the shape means matters only where there is one."""
    shape = facts.constant(node.input, 1)
    if shape is not None and shape.all():
        _drop(node, "allowzero", 0, 1)


def _split(node: Any, facts: Facts) -> None:
    """The number of equal parts is that of the outputs."""
    _drop(node, "num_outputs", len(node.output))


REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
REWRITES = {f"Reduce{kind}": _reduction for kind in REDUCTIONS} | {"Pad": _pad, "Reshape": _reshape, "Split": _split}
