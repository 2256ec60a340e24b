"""What a user of energylens.watch may get wrong: one line each, that says what to type."""

import re
from types import SimpleNamespace

import pytest
import torch
import watched
from torch import nn

import energylens
from energylens.attacks import CW
from energylens.errors import UserError

X, Y = watched.images(8)
SCALED = (X - 0.5) / 0.2


class Returns(nn.Module):
    """Gives what a function makes of a linear layer's logits."""

    def __init__(self, made):
        super().__init__()
        self.linear, self.made = nn.Linear(256, 10), made

    def forward(self, x):
        """Anything."""
        return self.made(self.linear(x.flatten(1)))


MODEL = Returns(lambda logits: logits)


@pytest.mark.parametrize(
    ("loader", "told"),
    [
        ([(SCALED, Y)], "images from -2.5 to 2.5; attacks take [0, 1], with the normalisation in the model"),
        ([((255 * X).byte(), Y)], "images of type torch.uint8; give floats in [0, 1], such as x / 255"),
        ([X], "the loader yields Tensor; give batches (x, y), images in [0, 1] with their classes"),
        ([(X,)], "the loader yields tuple (Tensor); give batches (x, y)"),
        ([{"x": X, "y": Y}], "the loader yields dict; give batches (x, y)"),
        ([(X, Y.tolist())], "the loader yields tuple (Tensor, list); give batches (x, y)"),
        ([(X, Y.float())], "labels of type torch.float32; classes are int64: y.long()"),
        ([(X, torch.eye(10)[Y].long())], "labels of shape [8, 10]; give one class an image, [B]"),
        ([(X, Y[:3])], "8 images and 3 labels"),
        ([(X, Y + 5)], "label 12 in the loader is outside the 10 classes of model 'Returns'"),
        ([], "the loader yields no batch; give batches (x, y)"),
        (7, "loader is int; give batches (x, y), images in [0, 1] with their classes, or a reference such as"),
        ("digit:test", "unknown data set 'digit'; did you mean 'digits'?"),
        ([(X[:, :, :4], Y)], "model 'Returns' cannot read the loader's [1, 4, 16] images"),
    ],
)
def test_loaders(loader, told):
    with pytest.raises(UserError, match=re.escape(told)):
        energylens.watch(MODEL, loader, eps=0.1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"every": 0}, "energylens.watch: every=0; give a whole number, at least 1"),
        ({"every": 1.5}, "energylens.watch: every=1.5; give a whole number, at least 1"),
        ({"samples": 0}, "energylens.watch: samples=0; give a whole number, at least 1"),
        ({"batch": True}, "energylens.watch: batch=True; give a whole number, at least 1"),
        ({"eps": 0}, "eps must be a number, above 0"),
        ({"eps": 8}, "is above 1, the whole range of a pixel; 8 of 255 is written 8/255"),
        ({"attack": "pdg"}, "unknown attack 'pdg'; did you mean 'pgd'?"),
        ({"attack": "pgd:eps=0.1"}, "attack pgd:eps=0.1 says eps; write energylens.watch(..., eps=...)"),
        ({"attack": "cw"}, "attack cw has no eps"),
        ({"attack": CW()}, "attack cw has no radius eps; take pgd, apgd-ce or cw-linf"),
        ({"logits": "out.logits"}, "logits is str; give a function (model, x) -> [B, K]"),
    ],
)
def test_options(options, told):
    with pytest.raises(UserError, match=re.escape(told)):
        energylens.watch(MODEL, [(X, Y)], **options)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda x: x, "model is function; give the torch.nn.Module that is trained"),
        (Returns(lambda z: z[:, 0]), "model 'Returns' returns [8] for 8 images; wanted logits [B, K], K of 2 or more"),
        (Returns(lambda z: z.softmax(1)), "model 'Returns' returns probabilities, so its energies mean nothing"),
        (Returns(lambda z: z.detach()), "model 'Returns' gives no gradient at its input"),
        (
            Returns(lambda z: SimpleNamespace(logits=z)),
            "model 'Returns' returns SimpleNamespace and no logits [B, K]; say where they are: energylens.watch(..., "
            "logits=function), a function (model, x) that calls it and returns out.logits",
        ),
        (Returns(lambda z: {"scores": z}), "a function (model, x) that calls it and returns what holds them"),
    ],
)
def test_models(model, told):
    with pytest.raises(UserError, match=re.escape(told)):
        energylens.watch(model, [(X, Y)], eps=0.1)


def test_a_logits_function_that_gives_none_is_told():
    with pytest.raises(UserError, match=r"model 'Returns' returns SimpleNamespace for 8 images; wanted logits"):
        energylens.watch(MODEL, [(X, Y)], logits=lambda model, x: SimpleNamespace(logits=model(x)))


def test_steps_that_do_not_grow_are_refused():
    watch = energylens.watch(MODEL, [(X, Y)], eps=0.1)
    watch(5)
    with pytest.raises(UserError, match=r"watch\(step=5\) after step 5; steps grow, or leave them out"):
        watch(5)
    assert len(watch.table) == 1


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    watch = energylens.watch(MODEL, [(X, Y)], eps=0.1)
    with pytest.raises(UserError, match=r"cannot write .*; choose another folder with watch.save\(PATH\)"):
        watch.save(tmp_path / "file" / "run.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("library", "made"), [("lightning", "lightning"), ("transformers", "huggingface")])
def test_a_library_that_is_not_installed_is_one_line(monkeypatch, library, made):
    def absent(name, *rest):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name.partition(".")[0])

    watch = energylens.watch(MODEL, [(X, Y)], eps=0.1)
    monkeypatch.setattr("importlib.import_module", absent)
    with pytest.raises(UserError, match=f"{library} is not installed; pip install {library}"):
        getattr(watch, made)()
