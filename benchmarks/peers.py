"""The attacks of torchattacks, pyautoattack and foolbox that do what one of ours does.

`PEERS[name](net, attack)` gives a function of images and goals (true classes, or wanted ones) that returns
adversarial images; None where the peer lacks the attack. Peers are imported when asked for.
"""

from collections.abc import Callable

from torch import nn

from energylens.attacks import APGD, CW, FAB, Attack, Square

# The same attack of each peer, with our settings. What they leave out is the same by default.
_TORCHATTACKS = {
    "pgd": lambda of, net, a: of.PGD(net, eps=a.eps, alpha=a.step, steps=a.steps, random_start=True),
    "pgd-kl": lambda of, net, a: of.TPGD(net, eps=a.eps, alpha=a.step, steps=a.steps),
    "fgsm": lambda of, net, a: of.FGSM(net, eps=a.eps),
    "apgd-ce": lambda of, net, a: of.APGD(net, eps=a.eps, steps=a.steps, loss="ce", seed=a.seed),
    "apgd-dlr": lambda of, net, a: of.APGD(net, eps=a.eps, steps=a.steps, loss="dlr", seed=a.seed),
    "apgd-t": lambda of, net, a: of.APGDT(net, eps=a.eps, steps=a.steps, n_classes=a.classes + 1, seed=a.seed),
    "fab": lambda of, net, a: of.FAB(net, eps=a.eps, steps=a.steps, seed=a.seed),
    "fab-t": lambda of, net, a: of.FAB(
        net, eps=a.eps, steps=a.steps, multi_targeted=True, n_classes=a.classes + 1, seed=a.seed
    ),
    "square": lambda of, net, a: of.Square(net, eps=a.eps, n_queries=a.queries, seed=a.seed),
    "cw": lambda of, net, a: of.CW(net, c=a.c, kappa=a.kappa, steps=a.steps, lr=a.lr),
    "cw-t": lambda of, net, a: of.CW(net, c=a.c, kappa=a.kappa, steps=a.steps, lr=a.lr),
}


def _foolbox_cw(of, a: CW):
    return of.L2CarliniWagnerAttack(
        binary_search_steps=1, steps=a.steps, stepsize=a.lr, confidence=a.kappa, initial_const=a.c
    )


_FOOLBOX = {
    "pgd": lambda of, a: of.LinfPGD(abs_stepsize=a.step, steps=a.steps, random_start=True),
    "fgsm": lambda of, a: of.FGSM(),
    "cw": _foolbox_cw,
    "cw-t": _foolbox_cw,
}


def torchattacks(net: nn.Module, attack: Attack) -> Callable:
    import torchattacks as of

    peer = _TORCHATTACKS[attack.kind](of, net, attack)
    if attack.targeted:
        peer.set_mode_targeted_by_label(quiet=True)
    return peer


def pyautoattack(net: nn.Module, attack: Attack) -> Callable | None:
    from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
    from pyautoattack.fab_pt import FABAttack_PT
    from pyautoattack.square import SquareAttack

    if not isinstance(attack, (APGD, FAB, Square)):
        return None
    usual = {"norm": "Linf", "eps": attack.eps, "seed": attack.seed, "device": "cpu"}
    if isinstance(attack, Square):
        return SquareAttack(net, n_queries=attack.queries, **usual).perturb
    usual["n_iter"] = attack.steps
    if isinstance(attack, FAB):
        classes = {"targeted": True, "n_target_classes": attack.classes} if attack.classes else {}
        return FABAttack_PT(net, **classes, **usual).perturb
    if attack.loss == "targeted-dlr":
        return APGDAttack_targeted(net, n_target_classes=attack.classes, **usual).perturb
    return APGDAttack(net, loss=attack.loss, **usual).perturb


def foolbox(net: nn.Module, attack: Attack) -> Callable | None:
    if attack.kind not in _FOOLBOX:
        return None
    from foolbox import Misclassification, PyTorchModel, TargetedMisclassification, attacks

    peer, wrapped = _FOOLBOX[attack.kind](attacks, attack), PyTorchModel(net, bounds=(0, 1), device="cpu")
    criterion = TargetedMisclassification if attack.targeted else Misclassification
    ball = {} if attack.eps is None else {"epsilon": attack.eps}
    return lambda x, goal: peer.run(wrapped, x, criterion(goal), **ball)


PEERS = {"torchattacks": torchattacks, "pyautoattack": pyautoattack, "foolbox": foolbox}
