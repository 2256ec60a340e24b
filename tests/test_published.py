"""RobustBench's published facts: its own names, findable, beside what is measured."""

import pytest

from energylens.data import load
from energylens.errors import UserError
from energylens.models import listing, published, robustbench
from energylens.models.robustbench_import import zoo

LEFT_OUT_BY_ROBUSTBENCH = {"cifar10/Linf": 23, "cifar10/corruptions": 6, "cifar100/corruptions": 1}
"""models with facts but without a checkpoint in robustbench 1.1.1: evaluated by their authors alone"""


def test_its_names_are_robustbenchs_own():
    with zoo() as utils:
        theirs = {
            f"robustbench:{data.value}/{threat.value}/{name}"
            for data, threats in utils.all_models.items()
            for threat, entries in threats.items()
            for name in entries
        }
    facts = published.table()
    assert set(facts[facts["weights"]]["reference"]) == theirs
    left_out = facts[~facts["weights"]].groupby(["data", "norm"]).size()
    assert {"/".join(key): count for key, count in left_out.items()} == LEFT_OUT_BY_ROBUSTBENCH


def test_how_images_are_prepared_is_robustbenchs_own():
    with zoo() as utils:
        entries = {
            f"robustbench:imagenet/{threat.value}/{name}": entry.get("preprocessing", "timm")
            for data, threats in utils.all_models.items()
            for threat, models in threats.items()
            for name, entry in models.items()
            if data.value == "imagenet"
        }
    facts = published.table()
    assert facts[facts["preprocessing"] != ""].set_index("reference")["preprocessing"].to_dict() == entries


def test_models_without_logits_are_marked():
    facts = published.table()
    there = facts[facts["weights"]]
    assert [robustbench.refused(each) is None for each in there["reference"]] == there["energies"].tolist()
    assert set(facts["name"][~facts["energies"] & (facts["norm"] == "Linf") & (facts["data"] == "cifar10")]) == {
        "Bai2023Improving_edm", "Bai2024MixedNUTS", "Chen2020Adversarial"}  # fmt: skip


def test_the_facts_are_plain_text():
    assert not published.table().map(lambda cell: isinstance(cell, str) and "<" in cell).any(axis=None)


@pytest.mark.parametrize(
    ("reference", "clean", "robust", "eps", "extra"),
    [  # as the paper's figure 4 and RobustBench's leaderboard print them
        ("robustbench:cifar10/Linf/Engstrom2019Robustness", 87.03, 49.25, "8/255", False),
        ("robustbench:cifar10/Linf/Wang2023Better_WRN-70-16", 93.25, 70.69, "8/255", False),
        ("robustbench:cifar10/Linf/Wang2020Improving", 87.50, 56.29, "8/255", True),
        ("robustbench:cifar10/Linf/Zhang2019Theoretically", 84.92, 53.08, "0.031", False),
        ("robustbench:cifar10/linf/Standard", 94.78, 0.0, "8/255", False),
        ("SAT=robustbench:cifar10/L2/Engstrom2019Robustness", 90.83, 69.24, "0.5", False),
    ],
)
def test_known_models_have_their_published_accuracies(reference, clean, robust, eps, extra):
    row = published.entry(reference)
    assert (row["clean"], row["robust"], row["eps"], row["extra_data"]) == (clean, robust, eps, extra)


def test_a_model_is_found_by_what_it_is():
    found = published.select("cifar10", "LINF", arch="resnet-18", extra_data=False, at_least=50, weights=True)
    assert found["robust"].is_monotonic_decreasing
    assert found.iloc[0]["name"] == "Gowal2021Improving_R18_ddpm_100m"
    assert set(found["data"] + found["norm"]) == {"cifar10Linf"}
    assert published.select("cifar10", "Linf", sort="Clean")["clean"].is_monotonic_decreasing
    assert set(published.select(eps="4/255")["data"]) == {"imagenet"}
    assert set(published.select("CIFAR10", eps="0.5")["norm"]) == {"L2"}


def test_accuracies_of_several_norms_are_not_ranked_together():
    found = published.select()
    groups = list(zip(found["data"], found["norm"], strict=True))
    assert groups == sorted(groups)
    for _, rows in found.groupby(["data", "norm"]):
        assert rows["robust"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"data": "cifar11"}, "unknown --data 'cifar11'; did you mean 'cifar10'"),
        ({"norm": "L3"}, "unknown --norm 'L3'; did you mean 'L2'"),
        ({"sort": "size"}, "unknown --sort 'size'"),
        ({"eps": "eight"}, "'eight' is no number"),
        ({"at_least": 101.0}, "RobustBench lists no model with --at-least 101; leave out or change one of these"),
        ({"data": "imagenet", "norm": "l2", "weights": True}, "no model with --data imagenet --norm L2; leave out"),
    ],
)
def test_mistakes_are_named(chosen, message):
    with pytest.raises(UserError, match=message):
        published.select(**chosen)


@pytest.mark.parametrize(
    ("low", "high", "says"), [(86.0, 88.0, "lies within"), (88.0, 89.0, "lies OUTSIDE the measured interval")]
)
def test_a_measured_accuracy_is_compared_by_its_interval(npz, low, high, says):
    images = load(str(npz))
    reference = "robustbench:cifar10/Linf/Engstrom2019Robustness"
    assert "other images" in listing.published_of(reference, images, low, high)[1]
    object.__setattr__(images, "name", "cifar10")
    lines = listing.published_of(reference, images, low, high)
    assert lines[0].endswith("87.03 % clean, 49.25 % robust (AutoAttack, Linf 8/255)")
    assert says in lines[1]
    assert listing.published_of("demo:sat", images, low, high) == []


def test_imagenets_accuracies_are_those_of_val_and_of_each_models_own_preparation(npz):
    images = load(str(npz))
    for key, value in (("name", "imagenet"), ("split", "val")):
        object.__setattr__(images, key, value)
    assert listing.published_of("robustbench:imagenet/Linf/Engstrom2019Robustness", images, 62, 63)[1:] == [
        f"{'':16}the published clean accuracy lies within the measured interval"
    ]
    prepared, compared = listing.published_of("robustbench:imagenet/Linf/Liu2023Comprehensive_Swin-L", images, 60, 61)[
        1:
    ]
    assert prepared.strip() == "of images prepared by BicubicRes256Crop224; these are by Res256Crop224"
    assert compared.endswith("OUTSIDE the measured interval: other weights, or the other preparation?")
