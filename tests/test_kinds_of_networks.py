"""How a network was trained, by its name and reference: cases that are known."""

import subprocess
import sys

import pandas as pd
import pytest

from energylens.families import ROBUST, STANDARD, UNKNOWN, kind, kinds, strangers, trainer

LINF = "robustbench:cifar10/Linf/"


@pytest.mark.parametrize(
    ("model", "reference", "made_by", "expected"),
    [
        ("SAT", "demo:sat", "sat", ROBUST),
        ("SAT, half eps", None, "sat", ROBUST),
        ("Ours SAT", None, "sat", ROBUST),
        ("WEAT_ADV", None, "weat-adv", ROBUST),
        ("MAIL-TRADES", None, "mail-trades", ROBUST),
        ("JEAT", "demo:jeat", "jeat", ROBUST),
        ("preJEAT", "demo:sat", "sat", ROBUST),
        ("mine", "sat-cifar10-resnet18-1/last.safetensors", "sat", ROBUST),
        ("Better DM L2", "robustbench:cifar10/L2/Wang2023Better_WRN-28-10", "", ROBUST),
        ("standard", "demo:standard-10", "standard", STANDARD),
        ("standard-6", None, "standard", STANDARD),
        ("plain", LINF + "Standard", "", STANDARD),
        ("SAT", LINF + "Standard", "sat", STANDARD),
        ("resnet20_std", "nets.py:resnet20_std", "", STANDARD),
        ("SATURN", None, "", UNKNOWN),
        ("M-EBM", "mebm.pt@wideresnet", "", UNKNOWN),
        ("preJEAT", None, "", UNKNOWN),
        ("stdout", float("nan"), "", UNKNOWN),
        ("fog", "robustbench:cifar10/corruptions/Hendrycks2020AugMix_ResNeXt", "", UNKNOWN),
    ],
)
def test_a_network_is_what_its_name_and_reference_tell(model, reference, made_by, expected):
    assert (trainer(model, reference), kind(model, reference)) == (made_by, expected)


def test_networks_of_a_table_and_those_that_nothing_tells_of():
    frame = pd.DataFrame({"model": ["SAT", "SAT", "DRL", "x"], "model_ref": ["demo:sat", "demo:sat", None, LINF + "Y"]})
    assert kinds(frame) == {"SAT": ROBUST, "DRL": UNKNOWN, "x": ROBUST}
    assert strangers(frame) == "left out, nothing tells how they were trained: DRL"
    assert strangers(frame.iloc[:2]) == ""
    assert kinds(frame[["model"]]) == {"SAT": ROBUST, "DRL": UNKNOWN, "x": UNKNOWN}


def test_it_reads_no_torch():
    code = "import sys; import energylens.families; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
