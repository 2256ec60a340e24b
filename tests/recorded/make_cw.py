"""What adv-lib 0.2.8 and torchattacks 3.5.1 find with their Carlini-Wagner L2 attacks on `demo:sat`.

Both packages in a folder of their own (adv-lib's visdom is not needed): `python make_cw.py PEERS > cw.json`.
"""

import json
import sys
import types

import torch

from energylens import data, models

sys.modules["visdom"] = types.ModuleType("visdom")
sys.path.append(sys.argv[1])

from adv_lib.attacks.carlini_wagner.l2 import carlini_wagner_l2  # noqa: E402
from torchattacks import CW  # noqa: E402

IMAGES = 24
x, y, _ = data.load("digits:test", samples=IMAGES).batch(0, IMAGES)
net = models.load("demo:sat")
target = (y + 1) % 10
searched = {"initial_const": 0.1, "binary_search_steps": 6, "max_iterations": 60, "abort_early": False}


def facts(points: torch.Tensor) -> dict[str, list]:
    with torch.no_grad():
        pred = net(points).argmax(1)
    return {"l2": [round(float(d), 5) for d in (points - x).flatten(1).norm(dim=1)], "pred": pred.tolist()}


to_target = CW(net, c=3, steps=60)
to_target.set_mode_targeted_by_label(quiet=True)
found = {
    "adv-lib": facts(carlini_wagner_l2(net, x, y, **searched)),
    "adv-lib, targeted": facts(carlini_wagner_l2(net, x, target, targeted=True, **searched)),
    "torchattacks": facts(CW(net, c=1, steps=50)(x, y)),
    "torchattacks, targeted": facts(to_target(x, target)),
}
json.dump(found, sys.stdout, indent=1)
