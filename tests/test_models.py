"""References become classifiers; files cannot run code; what is wrong is told in one line."""

import json
import os
import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from energylens import data, models
from energylens.errors import UserError
from energylens.models import architectures, check, identity
from energylens.references import named, public

ARCH = "small-resnet:depth=6:width=4"


def fresh(arch: str = ARCH) -> nn.Module:
    torch.manual_seed(0)
    net = architectures.build(arch).eval()
    for buffer in net.buffers():  # running statistics that matter
        buffer.copy_(torch.rand_like(buffer.float()) + 0.5)
    return net


def assert_same_logits(one: nn.Module, other: nn.Module):
    x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(one(x), other(x), rtol=0, atol=1e-6)


class Payload:
    """A pickle that would create a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}},
    ],
    ids=["bare", "state_dict", "module."],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_state_dicts_with_a_named_architecture(tmp_path, wrap, zipped):
    net, path = fresh(), tmp_path / "w@1.pt"
    torch.save(wrap(net.state_dict()), path, _use_new_zipfile_serialization=zipped)
    loaded = models.load(f"{path}@{ARCH}")
    assert not loaded.training
    assert_same_logits(net, loaded)


def test_reads_own_checkpoints_by_their_metadata(tmp_path):
    net = fresh()
    save_file(net.state_dict(), tmp_path / "best.safetensors", {"energylens": json.dumps({"arch": ARCH})})
    assert_same_logits(net, models.load(f"{tmp_path}/best.safetensors"))
    assert_same_logits(net, models.load(f"{tmp_path}/best.safetensors@{ARCH}"))


def test_reads_a_users_python_file_and_an_installed_module(toy_net, monkeypatch):
    path = toy_net(name="energylens_test_nets.py")
    from_file = models.load(f"{path}:toy")
    monkeypatch.syspath_prepend(str(path.parent))
    from_module = models.load("energylens_test_nets:toy")
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(from_file(x), from_module(x))
    sys.modules.pop("energylens_test_nets")


def test_resnet18_has_robustbenchs_keys_and_the_known_size():
    net = architectures.build("resnet18")
    assert (
        sum(parameter.numel() for parameter in net.parameters()) == 11_173_962
    )  # torchvision-free count of the CIFAR net
    assert {
        "conv1.weight",
        "layer4.1.bn2.running_var",
        "layer2.0.shortcut.0.weight",
        "linear.bias",
    } <= net.state_dict().keys()
    assert net(torch.rand(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("depth", [6, 10, 14])
def test_depth_counts_convolutions_and_the_linear_layer(depth):
    net = architectures.build(f"small-resnet:depth={depth}")
    on_path = [
        name
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(on_path) == depth


@pytest.mark.parametrize(
    ("reference", "name", "stored"),
    [
        ("demo:sat", "sat", "demo:sat"),
        ("SAT=demo:sat", "SAT", "demo:sat"),
        ("robustbench:cifar10/Linf/Standard", "Standard", "robustbench:cifar10/Linf/Standard"),
        ("robustbench:cifar10/LINF/Standard", "Standard", "robustbench:cifar10/Linf/Standard"),
        ("../zoo/nets.py:toy", "toy", "nets.py:toy"),
        ("runs/x.pt@resnet18:classes=10", "x", "x.pt@resnet18:classes=10"),
        ("My net (1)=a/b.pth@resnet18:classes=10", "My net (1)", "b.pth@resnet18:classes=10"),
        ("runs/weat/best.safetensors", "best", "best.safetensors"),
        ("package.module:net", "net", "package.module:net"),
    ],
)
def test_names_and_stored_references(reference, name, stored):
    assert named(reference)[0] == name
    assert public(reference) == stored


def test_two_models_under_one_name_are_refused():
    with pytest.raises(UserError, match="two models are called 'sat': demo:sat and demo:trades; name one"):
        models.prepare(("demo:sat", "sat=demo:trades"))


def bad(tmp_path, content) -> str:
    path = tmp_path / "w.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    return f"{path}@{ARCH}"


def truncated(tmp_path) -> bytes:
    torch.save(fresh().state_dict(), tmp_path / "whole.pt")
    return (tmp_path / "whole.pt").read_bytes()[:5000]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda tmp: "demo:trade", "unknown demo network 'trade'; did you mean 'trades'? available: sat"),
        (lambda tmp: "nonsense", "'nonsense' is no model reference; write demo:NAME"),
        (lambda tmp: "no.such.module:net", "cannot import 'no.such.module' of model no.such.module:net"),
        (lambda tmp: "json:lods", "unknown function in json 'lods'; did you mean 'loads'?"),
        (lambda tmp: f"{tmp}/no.py:net", "no such file"),
        (lambda tmp: f"{tmp}/no.pt@resnet18", "no such checkpoint"),
        (lambda tmp: bad(tmp, {}).replace("small-resnet", "smal-resnet"), "holds dict, not a state dict"),
        (
            lambda tmp: bad(tmp, fresh().state_dict()).replace("small-resnet", "smal-resnet"),
            "did you mean 'small-resnet'",
        ),
        (lambda tmp: bad(tmp, fresh().state_dict()).replace("width", "with"), "did you mean 'width'"),
        (lambda tmp: bad(tmp, fresh().state_dict()).replace("depth=6", "depth=7"), "depth must be 4n + 2"),
        (lambda tmp: bad(tmp, b""), "is empty"),
        (lambda tmp: bad(tmp, b"<!DOCTYPE html>quota exceeded"), "is a web page, not a checkpoint"),
        (lambda tmp: bad(tmp, b"PK\x03\x04 nothing else"), "cannot be read as a checkpoint"),
        (lambda tmp: bad(tmp, truncated(tmp)), "cannot be read as a checkpoint"),
        (lambda tmp: bad(tmp, [1, 2]), "holds list, not a state dict; save model.state_dict()"),
        (lambda tmp: bad(tmp, fresh().state_dict()).split("@")[0], "alone is no model reference; write"),
        (
            lambda tmp: bad(tmp, {"conv1.weight": torch.zeros(1)}),
            "missing bn1.bias, bn1.num_batches_tracked, bn1.running_mean and",
        ),
        (
            lambda tmp: bad(tmp, fresh(ARCH.replace("4", "8")).state_dict()),
            "conv1.weight is (8, 1, 5, 5) in the file, (4, 1, 5, 5) in the network",
        ),
        (
            lambda tmp: bad(tmp, fresh().state_dict() | {"extra": torch.zeros(1)}),
            "missing nothing; unexpected extra",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, make, text):
    with pytest.raises(UserError) as error:
        models.load(make(tmp_path))
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_wants_to_run_code_is_refused_unless_trusted(tmp_path, zipped):
    trace, path = tmp_path / "it-ran", tmp_path / "w.pt"
    torch.save(
        {"state_dict": fresh().state_dict(), "note": Payload(trace)},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(UserError, match=r"wants to run code .*mkdir.* --trust-checkpoint"):
        models.load(f"{path}@{ARCH}")
    assert not trace.exists()
    models.load(f"{path}@{ARCH}", trust=True)
    assert trace.exists()


def test_a_bare_pickle_runs_no_code(tmp_path):
    trace, path = tmp_path / "it-ran", tmp_path / "w.pt"
    path.write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(UserError, match=r"w\.pt"):
        models.load(f"{path}@{ARCH}")
    assert not trace.exists()


def test_broken_safetensors_are_named(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        models.load(str(path))
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="does not say its architecture"):
        models.load(str(path))


def test_a_user_function_that_returns_no_network_is_named(tmp_path):
    (tmp_path / "n.py").write_text("def net():\n    return 3\ndef fails():\n    raise OSError('gone')\n")
    with pytest.raises(UserError, match=r"returned int; it must return a torch\.nn\.Module"):
        models.load(f"{tmp_path}/n.py:net")
    with pytest.raises(UserError, match=r"failed \(OSError: gone\)"):
        models.load(f"{tmp_path}/n.py:fails")
    with pytest.raises(UserError, match=r"unknown function in n.py 'nett'; did you mean 'net'\? available: net, fails"):
        models.load(f"{tmp_path}/n.py:nett")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("return logits", "logits"),
        ("return logits.softmax(1)", "probabilities"),
        ("return logits.log_softmax(1)", "log-probabilities"),
        ("return logits * float('nan')", "nan"),
        ("return logits * float('inf')", "nan"),
        ("return 1e4 * logits", "logits"),
    ],
)
def test_output_kind(toy_net, npz, body, kind):
    images = data.load(str(npz))
    net = models.load(f"{toy_net(body)}:toy")
    assert check.output_kind(net(images.batch(0, 12)[0])) == kind
    if kind != "logits":
        with pytest.raises(UserError, match=r"mean nothing|is NaN or infinite"):
            check.usable(net, "mine", images)


def test_one_nan_image_is_not_a_broken_model():
    logits = torch.tensor([[1.0, 2.0], [torch.nan, 0.0]])
    assert check.output_kind(logits) == "logits"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return logits[:, 0]", "model 'mine' returns [12] for 12 images; wanted logits [B, K]"),
        ("return logits[:, :1]", "returns [12, 1] for 12 images"),
        ("return (logits, x)", "returns tuple for 12 images"),
        ("return logits[:, :2]", "label 2 in toy.npz is outside the 2 classes of model 'mine'"),
        ("return nn.Linear(7, 3)(logits)", "cannot read toy.npz's [1, 4, 4] images (RuntimeError"),
    ],
)
def test_unusable_models_are_named(toy_net, npz, body, text):
    with pytest.raises(UserError) as error:
        check.usable(models.load(f"{toy_net(body)}:toy"), "mine", data.load(str(npz)))
    assert text in str(error.value)


def test_identity_covers_weights_settings_and_own_source_but_not_the_file_around(toy_net, tmp_path):
    load = lambda name, body="return logits": models.load(f"{toy_net(body, name)}:toy")  # noqa: E731
    same = identity.sha(load("a.py"))
    renamed = toy_net(name="b.py")
    renamed.write_text("# another file around the same class\n" + renamed.read_text())
    assert identity.sha(models.load(f"{renamed}:toy")) == same
    assert identity.sha(load("c.py", "return 2 * logits")) != same
    assert identity.sha(models.load(f"{toy_net(name='d.py')}:other")) != same
    assert identity.sha(nn.Conv2d(1, 1, 3, padding=1)) != identity.sha(nn.Conv2d(1, 1, 3))


def test_identity_sees_plain_attributes():
    net = fresh()
    before = identity.sha(net)
    net.temperature = 2.0
    assert identity.sha(net) != before
    net.temperature = torch.tensor(2.0)
    assert identity.sha(net) != before


def test_layout_is_channels_last_only_where_the_network_can_read_it():
    images = data.load("digits", samples=4)
    with_view = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), Flat(), nn.Linear(4 * 196, 10)).eval()
    assert check.layout(fresh(), images) is torch.channels_last
    assert check.layout(with_view, images) is torch.contiguous_format
    assert (
        check.layout(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(784, 10)), images)
        is torch.contiguous_format
    )


class Flat(nn.Module):
    def forward(self, x):
        return x.view(len(x), -1)


VARIANTS = {  # each changes what the network computes, and nothing in its parameters
    "class attribute": ("SCALE = 1.0", "SCALE = 2.0"),
    "static method": ("return x  # static", "return 2 * x  # static"),
    "property": ("return 1.0  # property", "return 3.0  # property"),
    "private attribute": ("self._mean = 0.1", "self._mean = 0.2"),
    "private tensor": ("self._shift = torch.zeros(3)", "self._shift = torch.ones(3)"),
    "array": ("np.zeros(3)", "np.ones(3)"),
    "dictionary": ("{'t': 1.0}", "{'t': 2.0}"),
    "lambda": ("lambda x: x + 0", "lambda x: x + 1"),
    "built-in function": ("torch.relu", "torch.tanh"),
    "hook": ("lambda net, args: (args[0] * 1,)", "lambda net, args: (args[0] * 2,)"),
    "constant of the file": ("MEAN = 0.5", "MEAN = 0.4"),
    "helper of the file": ("return x + 7", "return x + 8"),
    "enclosed value": ("make(1)", "make(2)"),
}
SOURCE = """
import numpy as np
import torch
from torch import nn

MEAN = 0.5
UNUSED = 1

def helper(x):
    return x + 7

def make(shift):
    return lambda x: x + shift

class Net(nn.Module):
    SCALE = 1.0

    def __init__(self):
        super().__init__()
        self._mean = 0.1
        self._shift = torch.zeros(3)
        self.offset = np.zeros(3)
        self.settings = {'t': 1.0}
        self.act = lambda x: x + 0
        self.last = torch.relu
        self.made = make(1)
        self.register_forward_pre_hook(lambda net, args: (args[0] * 1,))

    def forward(self, x):
        return helper(x - MEAN)

    @staticmethod
    def double(x):
        return x  # static

    @property
    def bias(self):
        return 1.0  # property
"""


@pytest.mark.parametrize("what", list(VARIANTS))
def test_identity_sees_whatever_a_class_can_hide(tmp_path, what):
    shas = []
    for number, source in enumerate((SOURCE, SOURCE, SOURCE.replace(*VARIANTS[what]))):
        path = tmp_path / f"nets{number}.py"
        path.write_text(source)
        shas.append(identity.sha(models.load(f"{path}:Net")))
    assert shas[0] == shas[1] != shas[2]


def test_identity_ignores_the_file_around(tmp_path):
    for number, source in enumerate((SOURCE, "# a comment\n" + SOURCE.replace("UNUSED = 1", "UNUSED = 2"))):
        (tmp_path / f"nets{number}.py").write_text(source)
    one, other = (identity.sha(models.load(f"{tmp_path}/nets{number}.py:Net")) for number in range(2))
    assert one == other


def test_two_files_may_have_neighbours_of_one_name(tmp_path):
    for folder, classes in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        make = f"from torch import nn\ndef make():\n    return nn.Linear(2, {classes})\n"
        (tmp_path / folder / "arch.py").write_text(make)
        (tmp_path / folder / "nets.py").write_text("def net():\n    from arch import make\n    return make()\n")
    assert [models.load(f"{tmp_path}/{folder}/nets.py:net").out_features for folder in "ab"] == [3, 5]
    assert "arch" not in sys.modules
    assert not [path for path in sys.path if str(tmp_path) in path]


@pytest.mark.parametrize("where", ["at import", "in the function"])
def test_a_file_that_ends_the_program_is_named(tmp_path, where):
    end = "raise SystemExit(0)"
    source = end if where == "at import" else f"def net():\n    {end}"
    (tmp_path / "n.py").write_text(source)
    with pytest.raises(UserError, match="failed"):
        models.load(f"{tmp_path}/n.py:net")


def test_a_file_is_a_file_whatever_its_name(tmp_path):
    (tmp_path / "lr=0.1@2").mkdir()
    path = tmp_path / "lr=0.1@2" / "best.safetensors"
    save_file(fresh().state_dict(), path, {"energylens": json.dumps({"arch": ARCH})})
    assert_same_logits(fresh(), models.load(str(path)))
    save_file(fresh().state_dict(), path, {"energylens": "not json"})
    with pytest.raises(UserError, match="has metadata that is not ours"):
        models.load(str(path))


ZOO_FACTS = {  # measured by an independent script: clean accuracy in percent on the 10,000 test images
    "resnet20_std": 91.73, "resnet32_std": 92.63, "resnet56_std": 93.39, "wide_sgd": 76.13, "cnn_a_mix": 76.77,
    "conv_small_pgd": 62.92, "resnet2b_adv": 69.25, "cnn_a_adv4": 60.07,
}  # fmt: skip


@pytest.mark.parametrize("name", ["wide_sgd", "cnn_a_mix", "conv_small_pgd", "resnet2b_adv", "cnn_a_adv4"])
def test_clean_accuracy_of_real_networks(real_zoo, real_data, name):
    net = models.load(f"{real_zoo}/nets.py:{name}")
    report = check.report(net, name, data.load("cifar10:test", data_dir=real_data))
    assert report.images == 10000
    assert report.accuracy == pytest.approx(ZOO_FACTS[name], abs=0.021)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20_std", "resnet32_std", "resnet56_std"])
def test_clean_accuracy_of_real_residual_networks(real_zoo, real_data, name):
    test_clean_accuracy_of_real_networks(real_zoo, real_data, name)
