"""Newer ONNX graphs, and what of them cannot be measured: logits are onnxruntime's, or the file is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from energylens import models
from energylens.errors import Note, UserError

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
make = onnx.helper.make_node
SHAPE = ("batch", 6, 4, 6)
ROW = (("s", [0, -1]),)
"""the shape of [B, anything]"""


def graph(*nodes, opset=18, kind="FLOAT", shape=SHAPE, **constants):
    """A graph from images x to z, with constants by name; only types and the numbers of axes are declared."""
    kind = getattr(onnx.TensorProto, kind)
    fixed = [onnx.numpy_helper.from_array(np.array(values), name) for name, values in constants.items()]
    value = onnx.helper.make_tensor_value_info
    ends = [value("x", kind, shape)], [value("z", kind, ["batch", None])]
    inside = onnx.helper.make_graph(list(nodes), "net", *ends, fixed)
    return onnx.helper.make_model(inside, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=9)


def flat(node, **attributes):
    """The row of an operation, as classifiers end."""
    return node, make("Reshape", ["y", "s"], ["z"], **attributes)


def saved(tmp_path, model) -> str:
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def assert_onnxruntimes(path: str, x: torch.Tensor) -> None:
    session = onnxruntime.InferenceSession(path)
    (wanted,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(models.load(path)(x).numpy(), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


SPATIAL = np.array([2, 3])
LAST = np.array([-2, -1])
PADS = np.array([1, 0, 0, 2])
NEWER = {
    "mean": graph(make("ReduceMean", ["x", "a"], ["z"], keepdims=0, noop_with_empty_axes=0), a=SPATIAL),
    "norm": graph(make("ReduceL2", ["x", "a"], ["z"], keepdims=0), a=LAST),
    "largest": graph(make("ReduceMax", ["x", "a"], ["z"], keepdims=0), a=LAST),
    "largest, old": graph(make("ReduceMax", ["x"], ["z"], keepdims=0, axes=[-2, -1]), opset=13),
    "padded axes": graph(*flat(make("Pad", ["x", "p", "", "a"], ["y"])), p=PADS, a=np.array([-1, 1]), s=[0, -1]),
    "padded": graph(*flat(make("Pad", ["x", "p", "c"], ["y"])), p=[0] * 7 + [1], c=np.float32(0.5), s=[0, -1]),
    "allowzero": graph(make("Reshape", ["x", "s"], ["z"], allowzero=1), s=[-1, 144]),
    "gelu": graph(*flat(make("Gelu", ["x"], ["y"])), opset=20, s=[0, -1]),
    "gelu by tanh": graph(*flat(make("Gelu", ["x"], ["y"], approximate="tanh")), opset=20, s=[0, -1]),
    "halves": graph(
        make("Split", ["x"], ["l", "r"], axis=1, num_outputs=2),
        *flat(make("Sub", ["l", "r"], ["y"])),
        s=[0, -1],
    ),
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_operators_mean_what_they_mean_in_onnxruntime(tmp_path, name):
    x = 6 * torch.rand(3, *SHAPE[1:], generator=torch.Generator().manual_seed(0)) - 3
    assert_onnxruntimes(saved(tmp_path, NEWER[name]), x)


def test_functions_of_the_graph_are_written_out(tmp_path):
    opset = onnx.helper.make_opsetid("", 18)
    twice = onnx.helper.make_function("mine", "Twice", ["a"], ["b"], [make("Add", ["a", "a"], ["b"])], [opset])
    model = graph(*flat(make("Twice", ["x"], ["y"], domain="mine")), s=[0, -1])
    model.functions.append(twice)
    model.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    x = torch.rand(2, *SHAPE[1:])
    assert torch.equal(models.load(saved(tmp_path, model))(x), 2 * x.flatten(1))


class Tail(nn.Module):
    """A residual network's parts whose export differs: padded shortcut, GELU, mean over the image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.head = nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.Linear(6, 5)

    def forward(self, x):
        short = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 2))
        return self.head(nn.functional.gelu(self.norm(self.conv(x)) + short).mean((2, 3)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # the exporter's own
@pytest.mark.parametrize("opset", [None, 18, 20, 23])
def test_torchs_default_exporter(tmp_path, opset):
    pytest.importorskip("onnxscript", reason="torch's default exporter needs onnxscript")
    net, path, x = Tail().eval(), tmp_path / "net.onnx", torch.rand(3, 3, 8, 8)
    free = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(net, (x,), path, dynamic_shapes=free, opset_version=opset, verbose=False)
    assert_onnxruntimes(str(path), x)
    with torch.no_grad():
        torch.testing.assert_close(models.load(str(path))(x), net(x), rtol=1e-5, atol=1e-5)


TRAINED = {"b": np.ones(6, np.float32), "s": [0, -1]}
NEAREST = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "half_pixel"}
REFUSED = {
    "float16": (graph(make("Flatten", ["x"], ["z"]), kind="FLOAT16"), "reads images of type FLOAT16, but energies"),
    "double": (graph(make("Flatten", ["x"], ["z"]), kind="DOUBLE"), "torch.onnx.export(net.float(), images.float()"),
    "huge": (graph(make("Flatten", ["x"], ["z"]), shape=("b", 3, 2**40, 2**40)), "wanted sides of 1 to 4096 pixels"),
    "negative": (graph(make("Flatten", ["x"], ["z"]), shape=("b", 3, -5, -5)), "reads images [0, 3, -5, -5]; wanted"),
    "30 GB": (graph(make("Flatten", ["x"], ["z"]), shape=("b", 4096, 4096, 4096)), "50331648 values in all"),
    "rows": (graph(make("Flatten", ["x"], ["z"]), shape=("b", 784)), "reads an input of 2 axes; wanted images"),
    "dropout": (
        graph(*flat(make("Dropout", ["x", "r", "t"], ["y"])), r=np.float32(0.5), t=True, s=[0, -1]),
        "was exported in training mode (Dropout); export it with torch.onnx.export(net.eval()",
    ),
    "batch statistics": (
        graph(*flat(make("BatchNormalization", ["x", *"bbbb"], ["y", "m", "v"], training_mode=1)), **TRAINED),
        "was exported in training mode (BatchNormalization)",
    ),
    "mixed images": (
        graph(make("ReduceMean", ["x", "a"], ["m"]), *flat(make("Sub", ["x", "m"], ["y"])), a=[0], s=[0, -1]),
        "was exported for batches of 1; export it with a free batch size",
    ),
    "wrongly converted": (
        graph(*flat(make("Resize", ["x", "", "f"], ["y"], **NEAREST)), f=np.array([1, 1, 2, 2], np.float32), s=[0, -1]),
        "means something else in torch: its logits of random images are not onnxruntime's",
    ),
    "unknown operation": (
        graph(*flat(make("Hardmax", ["x"], ["y"])), s=[0, -1]),
        "export it with torch.onnx.export(..., dynamo=False, opset_version=17)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_give_wrong_energies_is_refused(tmp_path, name):
    model, text = REFUSED[name]
    with pytest.raises(UserError) as error:
        models.load(saved(tmp_path, model))
    assert text in str(error.value)


def test_a_second_output_is_refused(tmp_path):
    model = graph(make("Flatten", ["x"], ["z"]))
    model.graph.output.append(model.graph.output[0])
    model.graph.node.append(make("Relu", ["z"], ["w"]))
    model.graph.output[1].name = "w"
    with pytest.raises(UserError, match="has 2 outputs; export a network that returns its logits only"):
        models.load(saved(tmp_path, model))


def test_logits_that_were_not_compared_are_noted(tmp_path):
    model = graph(make("Reshape", ["x", "s"], ["z"]), shape=("b", 3, "h", "w"), s=[-1, 3 * 28 * 28])
    with pytest.warns(Note, match="were not compared"):
        models.load(saved(tmp_path, model))
