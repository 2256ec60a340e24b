"""Weights are found wherever the field's code puts them, and nothing in a file is dropped in silence."""

import warnings

import pytest
import torch
from made_checkpoints import ARCH, fresh, logits, prefixed
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from energylens import models
from energylens.errors import Note, UserError

STATE = fresh().state_dict()
NESTS = {
    "bare": STATE,
    "state_dict": {"state_dict": STATE, "epoch": 3},
    "net": {"net": STATE, "acc": 93.1, "epoch": 3},
    "twice": {"model": {"state_dict": STATE}},
    "any name": {"weights of my network": STATE},
    "a list": [STATE, {"lr": 0.1}, 3],
    "beside an optimizer": {"model": STATE, "optimizer": torch.optim.Adam(fresh().parameters()).state_dict()},
    "module.": {"state_dict": prefixed("module.", STATE)},
    "module.model.": prefixed("module.model.", STATE),
    "_orig_mod.": prefixed("_orig_mod.", STATE),
    "Lightning": {"state_dict": prefixed("net.", STATE), "pytorch-lightning_version": "2.0", "hyper_parameters": {}},
    "a name of its own": {"state_dict": prefixed("backbone.", STATE)},
    "half precision": {key: value.half() if value.is_floating_point() else value for key, value in STATE.items()},
    "numpy arrays": {"model": {key: value.numpy() for key, value in STATE.items()}},
    "averaged alone": {"ema_state_dict": STATE, "epoch": 3},
    "five deep": {"a": {"b": {"c": {"d": {"state_dict": STATE}}}}},
    "beside a tensor with a dot": {"state_dict": STATE, "train.loss": torch.tensor(0.3)},
    "a name with ema in it": {"semantic": STATE},
    "a name with grad in it": {"upgraded_model": STATE},
    "a name with optim in it": {"optimal_model": STATE},
    "a loss in the name, alone": {"best_loss_model": STATE},
    "a teacher alone": {"teacher": STATE},
    "counters with an axis": {k: v.view(1) if k.endswith("num_batches_tracked") else v for k, v in STATE.items()},
}


@pytest.mark.parametrize("content", NESTS.values(), ids=NESTS)
def test_weights_are_found(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    found = logits(models.load(f"{tmp_path}/w.pt@{ARCH}"))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, logits(fresh()), rtol=0, atol=1e-2 if content is NESTS["half precision"] else 0)


def test_torchs_own_averaged_model(tmp_path):
    torch.save(AveragedModel(fresh(), multi_avg_fn=get_ema_multi_avg_fn(0.9)).state_dict(), tmp_path / "w.pt")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}")), logits(fresh()))


@pytest.mark.parametrize(
    ("plain", "averaged"),
    [
        *(("state_dict", "state_dict_ema"), ("model", "ema"), ("unaveraged_model_state_dict", "averaged_model")),
        *(("model", "wa_model"), ("net", "avg_net"), ("model", "shadow"), ("model", "polyak"), ("schema", "modelEMA")),
    ],
)
def test_of_both_the_averaged_weights_are_read_and_a_note_says_so(tmp_path, plain, averaged):
    torch.save({plain: fresh(1).state_dict(), averaged: fresh(2).state_dict()}, tmp_path / "w.pt")
    with pytest.warns(
        Note, match=rf"w.pt holds {plain} and averaged weights, {averaged}, which are read.*part={plain}"
    ):
        found = models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert torch.equal(logits(found), logits(fresh(2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chosen = models.load(f"{tmp_path}/w.pt@{ARCH}:part={plain}")
    assert torch.equal(logits(chosen), logits(fresh(1)))


def test_several_networks_are_refused_until_one_is_named(tmp_path):
    torch.save({"student": fresh(1).state_dict(), "head": fresh(2).state_dict()}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"holds 2 sets of weights; say which.*part=student or part=head"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}:part=head")), logits(fresh(2)))
    with pytest.raises(UserError, match="has no part 'heads'; it holds student, head"):
        models.load(f"{tmp_path}/w.pt@{ARCH}:part=heads")


def test_of_student_and_teacher_the_student_is_read_and_a_note_says_so(tmp_path):
    torch.save({"student": fresh(1).state_dict(), "teacher": fresh(2).state_dict()}, tmp_path / "w.pt")
    with pytest.warns(Note, match=r"holds teacher and student, which is read; write @ARCHITECTURE:part=teacher"):
        assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}")), logits(fresh(1)))
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}:part=teacher")), logits(fresh(2)))


@pytest.mark.parametrize("part", ["net:a", "01", "True", "net:a:b"])
def test_a_part_is_typed_as_the_error_tells_it(tmp_path, part):
    torch.save({part: fresh(1).state_dict(), "b": fresh(2).state_dict()}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=f"part={part} or part=b"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@small-resnet:part={part}:width=4")), logits(fresh(1)))


def test_of_modules_in_one_state_dict_one_is_named(tmp_path):
    state = prefixed("net.", fresh(1).state_dict()) | prefixed("ema_net.", fresh(2).state_dict())
    torch.save({"state_dict": state}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"it fits with part=net or part=ema_net$"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    with pytest.raises(
        UserError, match=r"it fits @small-resnet:width=4:part=net or @small-resnet:width=4:part=ema_net"
    ):
        models.load(f"{tmp_path}/w.pt")
    with pytest.warns(Note, match=r"part=ema_net leaves out net.bn1.bias, .* and \d+ more"):
        assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}:part=ema_net")), logits(fresh(2)))
    with pytest.raises(UserError, match="has no part 'nets'; it holds state_dict"):
        models.load(f"{tmp_path}/w.pt@{ARCH}:part=nets")


def test_a_criterions_weights_beside_lightnings_model(tmp_path):
    torch.save({"state_dict": prefixed("model.", STATE) | {"criterion.weight": torch.ones(10)}}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"unexpected criterion.weight, .*; it fits with part=model$"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")
    with pytest.warns(Note, match=r"part=model leaves out criterion.weight"):
        assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@{ARCH}:part=model")), logits(fresh()))


BAD_NUMBERS = {
    "int8": (lambda value: value.to(torch.int8), "is int8 in the file; dequantise it first"),
    "complex": (lambda value: value.to(torch.complex64), "is complex64 in the file; take its real part"),
    "quantised": (
        lambda value: torch.quantize_per_tensor(value, 0.01, 0, torch.qint8),
        r"save it with .dequantize\(\)",
    ),
    "sparse": (lambda value: value.to_sparse(), r"is sparse; save it with .to_dense\(\)"),
    "meta": (lambda value: value.to("meta"), "is on the meta device, which holds no numbers"),
}


@pytest.mark.parametrize(("change", "message"), BAD_NUMBERS.values(), ids=BAD_NUMBERS)
@pytest.mark.filterwarnings("ignore")  # torch's, about quantisation
def test_numbers_that_do_not_mean_themselves_are_refused(tmp_path, change, message):
    torch.save(STATE | {"linear.weight": change(STATE["linear.weight"])}, tmp_path / "w.pt")
    with pytest.raises(UserError, match=f"linear.weight {message}|linear.weight is .*{message}"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


@pytest.mark.parametrize(
    ("theirs", "asked", "hint"),
    [
        ("wrn-16-2:classes=100", "resnet18", "; it fits @wrn-16-2:classes=100"),
        ("resnet20", "resnet18", "; it fits @resnet20"),
        ("resnet18:classes=200", "resnet18", "in the file.*; it fits @resnet18:classes=200"),
        (
            "preact-resnet18:bn=false:classes=7",
            "preact-resnet18",
            r"@preact-resnet18:bn=false:classes=7 \(shortcuts behind the activation\) or "
            r"@preact-resnet18:bn=false:shortcut=input:classes=7 \(RobustBench's class\): equal keys, other logits",
        ),
        ("torchvision/resnet18:classes=7", "resnet18", "; it fits @torchvision/resnet18:classes=7"),
        ("small-resnet:width=8:channels=3", "small-resnet", "; it fits @small-resnet:channels=3:width=8"),
    ],
)
def test_an_error_names_the_nearest_architecture(tmp_path, theirs, asked, hint):
    torch.save({"state_dict": prefixed("module.", fresh(arch=theirs).state_dict())}, tmp_path / "w.pt")
    for reference in (f"{tmp_path}/w.pt@{asked}", f"{tmp_path}/w.pt"):
        with pytest.raises(UserError, match=hint if "@" in reference else hint[-20:]):
            models.load(reference)


def test_a_strangers_network_is_not_forced_into_ours(tmp_path):
    torch.save(nn.Sequential(nn.Flatten(), nn.Linear(256, 10)).state_dict(), tmp_path / "w.pt")
    with pytest.raises(UserError, match=r"does not fit small-resnet.*; unexpected 1.bias, 1.weight; none of ours"):
        models.load(f"{tmp_path}/w.pt@{ARCH}")


def test_keys_of_tradess_wide_resnet_that_nothing_uses_may_be_there(tmp_path):
    state = fresh(arch="wrn-10-1").state_dict()
    torch.save(state | {f"sub_{key}": value for key, value in state.items() if key[:7] == "block1."}, tmp_path / "w.pt")
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(logits(models.load(f"{tmp_path}/w.pt@wrn-10-1"), x), logits(fresh(arch="wrn-10-1"), x))


def test_safetensors_under_another_name_are_read(tmp_path):
    save_file(STATE, tmp_path / "w.bin")
    assert torch.equal(logits(models.load(f"{tmp_path}/w.bin@{ARCH}")), logits(fresh()))
    with pytest.raises(UserError, match=r"w.bin does not say its architecture; .*it fits @small-resnet:width=4"):
        models.load(f"{tmp_path}/w.bin")


def test_a_preact_resnet_without_bn_has_a_note_until_its_shortcut_is_said(tmp_path):
    torch.save(fresh(arch="preact-resnet18:bn=false").state_dict(), tmp_path / "w.pt")
    with pytest.warns(Note, match=r"has shortcuts behind the activation.*shortcut=input for that, shortcut=activated"):
        models.load(f"{tmp_path}/w.pt@preact-resnet18:bn=false")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        models.load(f"{tmp_path}/w.pt@preact-resnet18:bn=false:shortcut=activated")
