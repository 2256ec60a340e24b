"""ONNX graphs become networks with gradients, and their logits are onnxruntime's."""

import numpy as np
import pytest
import torch
from torch import nn

from energylens import models
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.models import architectures, identity

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def weight(name: str, *shape: int, scale: float = 0.1):
    values = np.random.default_rng(len(name)).standard_normal(shape).astype(np.float32) * scale
    return onnx.numpy_helper.from_array(values, name)


def graph(batch="batch", activation="Relu", last=(), side=8):
    """A small ConvNet, made by hand: convolution, BatchNorm, activation, pooling, linear layer."""
    make = onnx.helper.make_node
    nodes = [
        make("Conv", ["x", "w1", "b1"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        make("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]),
        make(activation, ["n"], ["a"]),
        make("GlobalAveragePool", ["a"], ["p"]),
        make("Flatten", ["p"], ["f"]),
        make("Gemm", ["f", "w2", "b2"], ["y"], transB=1),
        *last,
    ]
    variance = onnx.numpy_helper.from_array(np.full(4, 0.5, np.float32), "v")
    fixed = [
        weight("w1", 4, 3, 3, 3),
        weight("b1", 4),
        weight("g", 4, scale=1),
        weight("b", 4),
        weight("m", 4),
        variance,
    ]
    fixed += [weight("w2", 5, 4, scale=1), weight("b2", 5)]
    value = onnx.helper.make_tensor_value_info
    image = value("x", onnx.TensorProto.FLOAT, [batch, 3, side, side])
    out = value(nodes[-1].output[0], onnx.TensorProto.FLOAT, [batch, 5])
    inside = onnx.helper.make_graph(nodes, "net", [image], [out], fixed)
    return onnx.helper.make_model(inside, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)


def saved(tmp_path, model) -> str:
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return str(path)


def test_logits_are_onnxruntimes(tmp_path):
    path = saved(tmp_path, graph())
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    (wanted,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    net = models.load(path)
    assert not net.training
    with torch.no_grad():
        np.testing.assert_allclose(net(x).numpy(), wanted, atol=1e-5)


def test_an_exported_network_gives_the_logits_it_had(tmp_path):
    torch.manual_seed(0)
    net, path = architectures.build("resnet20").eval(), tmp_path / "resnet20.onnx"
    with pytest.warns():  # the old exporter's own deprecation
        torch.onnx.export(net, torch.rand(1, 3, 32, 32), path, dynamo=False, input_names=["input"],
                          dynamic_axes={"input": {0: "batch"}})  # fmt: skip
    x = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(models.load(str(path))(x), net(x), rtol=1e-5, atol=1e-5)


def test_it_can_be_attacked(tmp_path):
    net = models.load(saved(tmp_path, graph()))
    x = torch.rand(4, 3, 8, 8)
    y = net(x).argmax(1)
    x_adv = PGD(eps=0.1, steps=5)(net, x, y)
    loss = lambda images: nn.functional.cross_entropy(net(images), y)  # noqa: E731
    assert loss(x_adv) > loss(x)


def test_its_identity_is_its_graph_and_its_weights(tmp_path):
    net = identity.sha(models.load(saved(tmp_path, graph())))
    assert identity.sha(models.load(saved(tmp_path, graph()))) == net
    assert identity.sha(models.load(saved(tmp_path, graph(activation="Sigmoid")))) != net
    changed = graph()
    changed.graph.initializer[0].CopyFrom(weight("w1", 4, 3, 3, 3, scale=0.2))
    assert identity.sha(models.load(saved(tmp_path, changed))) != net


def outside(place: str):
    model = graph()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=place)
    return model


def reshaped():
    """What exporters make of `view(1, -1)`."""
    make = onnx.helper.make_node
    model = graph(batch=1, last=[make("Reshape", ["y", "s"], ["z"])])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 5]), "s"))
    return model


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: outside("../../etc/passwd"),
            "wants to read ../../etc/passwd, outside its own folder; nothing was read",
        ),
        (lambda: outside("/etc/passwd"), "outside its own folder"),
        (lambda: outside("not-there.bin"), "cannot be read as ONNX"),
        (reshaped, "was exported for batches of 1; export it with a free batch size"),
        (lambda: graph(last=[onnx.helper.make_node("Det", ["y"], ["z"])]), "cannot convert"),
    ],
    ids=["above", "absolute", "missing", "one image", "unknown operation"],
)
def test_what_cannot_be_used_is_told(tmp_path, make, text):
    with pytest.raises(UserError) as error:
        models.load(saved(tmp_path, make()))
    assert text in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"hello, this is not protobuf", b"<html>"])
def test_broken_files_are_told(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(UserError, match="is it whole"):
        models.load(f"{tmp_path}/net.onnx")


def test_an_architecture_beside_it_is_too_much(tmp_path):
    with pytest.raises(UserError, match="holds its own architecture; leave out @resnet18"):
        models.load(f"{saved(tmp_path, graph())}@resnet18")
