"""The demo zoo: small networks on the digits that ship with the package, and how they were made."""

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import save_file

from energylens import data as datasets
from energylens.atomic import whole
from energylens.train.loop import train
from energylens.train.select import accuracies
from energylens.train.settings import recipe

FULL = recipe("demo", "sat", "digits", seed=0)
JEAT = recipe("demo", "jeat", "digits", seed=0)
HALF, STANDARD = dataclasses.replace(FULL, eps=0.1, epochs=16), dataclasses.replace(FULL, epochs=12)
ZOO = {
    "sat": ("sat", 6, FULL),
    "trades": ("trades", 6, FULL),
    "weat-nat": ("weat-nat", 6, FULL),
    "weat-adv": ("weat-adv", 6, FULL),
    "jeat": ("jeat", 6, JEAT),
    "sat-half": ("sat", 6, HALF),
    "standard-14": ("standard", 14, STANDARD),
    "standard-10": ("standard", 10, STANDARD),
    "standard-6": ("standard", 6, STANDARD),
}
"""name -> objective, depth, recipe"""


def build(out: Path, say: Callable[[str], None] = print) -> None:
    """Train all networks of the zoo and save them as OUT/NAME.safetensors.

    One thread a network, as many at once as there are cores: the weights do not depend on the machine's size.
    """
    with ProcessPoolExecutor(initializer=torch.set_num_threads, initargs=(1,), mp_context=get_context("spawn")) as pool:
        for line in pool.map(_build_one, ZOO, [out] * len(ZOO)):
            say(line)


def _build_one(name: str, out: Path) -> str:
    objective, depth, settings = ZOO[name]
    arch = f"small-resnet:depth={depth}"
    net = train(objective, arch, datasets.load("digits:train"), settings)
    about = {"arch": arch, "objective": objective, "data": "digits:train", **dataclasses.asdict(settings)}
    test = datasets.load("digits:test")
    found = accuracies(net, test, settings.eps)
    about |= {"clean_accuracy": found["clean"], "pgd20_accuracy": found["robust"], "test_images": len(test)}
    about |= {"torch": torch.__version__}
    weights = {key: value.contiguous() for key, value in net.state_dict().items()}
    with whole(out / f"{name}.safetensors", "--out") as hidden:
        save_file(weights, hidden, {"energylens": json.dumps(about, sort_keys=True)})
    clean, robust = about["clean_accuracy"], about["pgd20_accuracy"]
    return f"{name}: clean {clean:.3f}, PGD-20 at eps {settings.eps} {robust:.3f}, {about['test_images']} images"
