"""What the papers print and their public code does, written out plainly, without our parts.

Losses take (net in train mode, x, x_adv, y) and pass natural images first, adversarial ones second, as the
public code does; inner loops take the start noise, so that ours can be given the same.
"""

from copy import deepcopy

import torch


def softmax(logits):
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def of_class(p, y):
    return p[torch.arange(len(y)), y]


def cross_entropy(logits, y):
    return -torch.log(of_class(softmax(logits), y))


def divergence(clean, adv):
    """KL(p(. | x) || p(. | x*)), one value an image."""
    p, q = softmax(clean), softmax(adv)
    return (p * torch.log(p / q)).sum(1)


def best_wrong(p, y):
    """mart.py: the last of the sorted classes, or the one before where that is y."""
    last = torch.argsort(p, dim=1)[:, -2:]
    return of_class(p, torch.where(last[:, 1] == y, last[:, 0], last[:, 1]))


def boosted(adv, y):
    return cross_entropy(adv, y) - torch.log(1.0001 - best_wrong(softmax(adv), y) + 1e-12)


def mart_weight(clean, y):
    return 1.0000001 - of_class(softmax(clean), y)  # gradients pass


def mail_weight(adv, y):
    """mail_loss.py with slope 2 and bias 0."""
    p = softmax(adv).detach()
    margin = best_wrong(p, y) - of_class(p, y)
    return 3 / (1 + torch.exp(-2 * margin))


def weat_weight(clean):
    energy = -torch.log(torch.exp(clean.detach()).sum(1))
    return 1 / torch.log(1 + torch.exp(energy.abs()))


def standard(net, x, x_adv, y):
    return cross_entropy(net(x), y).mean()


def sat(net, x, x_adv, y):
    return cross_entropy(net(x_adv), y).mean()


def trades(net, x, x_adv, y, beta=6):
    clean, adv = net(x), net(x_adv)
    return cross_entropy(clean, y).mean() + beta * divergence(clean, adv).mean()


def mart(net, x, x_adv, y, beta=5):
    clean, adv = net(x), net(x_adv)
    return boosted(adv, y).mean() + beta * (divergence(clean, adv) * mart_weight(clean, y)).mean()


def mail_at(net, x, x_adv, y):
    adv = net(x_adv)
    return (mail_weight(adv, y) * cross_entropy(adv, y)).mean()


def mail_trades(net, x, x_adv, y, beta=5):
    clean, adv = net(x), net(x_adv)
    return cross_entropy(clean, y).mean() + beta * (mail_weight(adv, y) * divergence(clean, adv)).mean()


def weat_nat(net, x, x_adv, y, beta=6):
    clean, adv = net(x), net(x_adv)
    w = weat_weight(clean)
    return (w * cross_entropy(clean, y)).mean() + beta * (w * divergence(clean, adv)).mean()


def weat_adv(net, x, x_adv, y, beta=6):
    clean, adv = net(x), net(x_adv)
    w = weat_weight(clean)
    return (w * cross_entropy(adv, y)).mean() + beta * (w * divergence(clean, adv)).mean()


def weat_nat_mean1(net, x, x_adv, y):
    """Ours, not published: weights of mean 1."""
    clean, adv = net(x), net(x_adv)
    w = weat_weight(clean) / weat_weight(clean).mean()
    return (w * (cross_entropy(clean, y) + 6 * divergence(clean, adv))).mean()


def mart_mean1(net, x, x_adv, y):
    """Ours, not published: the mean that the weights are divided by lets no gradients through."""
    clean, adv = net(x), net(x_adv)
    w = mart_weight(clean, y) / mart_weight(clean, y).mean().detach()
    return boosted(adv, y).mean() + 5 * (w * divergence(clean, adv)).mean()


def mart_without_boost(net, x, x_adv, y, beta=5):
    clean, adv = net(x), net(x_adv)
    return cross_entropy(adv, y).mean() + beta * (divergence(clean, adv) * mart_weight(clean, y)).mean()


def ce_adv_and_kl(net, x, x_adv, y, beta=6):
    clean, adv = net(x), net(x_adv)
    return cross_entropy(adv, y).mean() + beta * divergence(clean, adv).mean()


def mail_on_both(net, x, x_adv, y, beta=5):
    clean, adv = net(x), net(x_adv)
    w = mail_weight(adv, y)
    return (w * cross_entropy(clean, y)).mean() + beta * (w * divergence(clean, adv)).mean()


def _der(clean, adv):
    return ((torch.log(torch.exp(clean).sum(1)) - torch.log(torch.exp(adv).sum(1))) ** 2).mean()


def sat_with_der(net, x, x_adv, y, factor):
    clean, adv = net(x), net(x_adv)
    return cross_entropy(adv, y).mean() + factor * _der(clean, adv)


def trades_with_der(net, x, x_adv, y, factor):
    clean, adv = net(x), net(x_adv)
    return cross_entropy(clean, y).mean() + 6 * divergence(clean, adv).mean() + factor * _der(clean, adv)


ROWS = {
    "standard": standard, "fgsm-at": sat, "sat": sat, "trades": trades, "mart": mart, "mail-at": mail_at,
    "mail-trades": mail_trades, "weat-nat": weat_nat, "weat-adv": weat_adv, "tab1c-1": mart,
    "tab1c-2": mart_without_boost, "tab1c-3": ce_adv_and_kl, "tab1c-4": ce_adv_and_kl, "tab1c-5": trades,
    "tab1c-6": mail_on_both, "tab1c-7": weat_nat, "tab1c-8": weat_adv,
}  # fmt: skip


def kl_as_coded(clean, adv):
    """WEAT_loss.py and mart.py: KLDivLoss of log(softmax + 1e-12) and softmax."""
    p, q = torch.softmax(clean, 1), torch.softmax(adv, 1)
    return torch.nn.functional.kl_div(torch.log(q + 1e-12), p, reduction="none").sum(1)


def inner_loop(net, x, noise, loss, step, eps, steps):
    """trades.py, mart.py: from x + noise, as it is; `loss(net, x_adv)` is computed anew in every step."""
    net.eval()
    x_adv = x + noise
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        gradient = torch.autograd.grad(loss(net, x_adv), [x_adv])[0]
        x_adv = x_adv.detach() + step * torch.sign(gradient)
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps)
        x_adv = torch.clamp(x_adv, 0.0, 1.0)
    return x_adv


def awp_diff(net, loss, lr):
    """utils_awp.py, calc_awp: a proxy takes one SGD step up the loss; diff_in_weights."""
    proxy = deepcopy(net)
    optimizer = torch.optim.SGD(proxy.parameters(), lr=lr)
    optimizer.zero_grad()
    (-loss(proxy)).backward()
    optimizer.step()
    diff = {}
    for (name, old), (_, new) in zip(net.state_dict().items(), proxy.state_dict().items(), strict=True):
        if old.dim() > 1 and "weight" in name:
            step = new - old
            diff[name] = old.norm() / (step.norm() + 1e-20) * step
    return diff


def add_into_weights(net, diff, factor):
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name in diff:
                weight.add_(factor * diff[name])
