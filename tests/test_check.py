"""Which networks have energies that mean something, and how accurate they are."""

import pytest
import torch
from torch import nn

from energylens import data, models
from energylens.errors import Note, UserError
from energylens.models import architectures, check


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


def test_outputs_like_a_sigmoids_are_noted_and_measured(toy_net, npz):
    net = models.load(f"{toy_net('return (logits / 10).sigmoid()')}:toy")
    with pytest.warns(
        Note, match=r"every logit of model 'mine' lies in \[0\.4\d+, 0\.5\d+\], like a sigmoid's"
    ) as notes:
        assert check.usable(net, "mine", data.load(str(npz))) == 3
    assert "return what comes before the sigmoid" in str(notes[0].message)


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


def test_layout_is_channels_last_only_where_the_network_can_read_it():
    images = data.load("digits", samples=4)
    with_view = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), Flat(), nn.Linear(4 * 196, 10)).eval()
    assert check.layout(architectures.build("small-resnet").eval(), images) is torch.channels_last
    assert check.layout(with_view, images) is torch.contiguous_format
    assert (
        check.layout(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(784, 10)), images)
        is torch.contiguous_format
    )


class Flat(nn.Module):
    def forward(self, x):
        return x.view(len(x), -1)


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
