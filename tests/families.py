"""One network of each of RobustBench's architecture families: the smallest that a CPU can build without a download."""

from pathlib import Path

import torch
from torch import nn

from energylens.models import robustbench, robustbench_outside

QUICK = (
    "cifar10/Linf/Rebuffi2021Fixing_R18_ddpm",  # DMPreActResNet, Swish
    "cifar10/Linf/Ding2020MMA",  # WideResNet-28-4 with a normalisation of each image
    "cifar10/corruptions/Hendrycks2020AugMix_WRN",
)
SLOW = (
    "cifar10/Linf/Standard",  # WideResNet
    "cifar10/Linf/Gowal2020Uncovering_28_10_extra",  # DMWideResNet
    "cifar10/Linf/Sehwag2021Proxy_R18",  # ResNet
    "cifar10/Linf/Sehwag2021Proxy_ResNest152",
    "cifar10/Linf/Andriushchenko2020Understanding",  # PreActResNet, under 'last'
    "cifar10/Linf/Wong2020Fast",
    "cifar10/Linf/Engstrom2019Robustness",
    "cifar10/Linf/Chen2020Efficient",
    "cifar10/Linf/Pang2020Boosting",
    "cifar10/Linf/Hendrycks2019Using",
    "cifar10/Linf/Rice2020Overfitting",
    "cifar10/Linf/Huang2021Exploring",  # RobustWideResNet
    "cifar10/Linf/Dai2021Parameterizing",  # PAF_WideResNet
    "cifar10/Linf/Huang2022Revisiting_WRN-A4",
    "cifar10/L2/Amini2024MeanSparse_S-WRN-70-16",
    "cifar10/Linf/Kang2021Stable",  # SODEF
    "cifar10/Linf/Peng2023Robust",  # RaWideResNet-70-16
    "cifar10/Linf/Debenedetti2022Light_XCiT-S12",  # timm
    "cifar10/L2/Augustin2020Adversarial",
    "cifar10/L2/Augustin2020Adversarial_34_10",
    "cifar10/L2/Rice2020Overfitting",
    "cifar10/L2/Rony2019Decoupling",
    "cifar10/corruptions/Hendrycks2020AugMix_ResNeXt",
    "cifar10/corruptions/Kireev2021Effectiveness_Gauss50percent",
    "cifar10/corruptions/Modas2021PRIMEResNet18",
    "cifar10/corruptions/Diffenderfer2021Winning_LRR",
    "cifar10/corruptions/Diffenderfer2021Winning_Binary",
    "cifar10/corruptions/Diffenderfer2021Winning_Binary_CARD_Deck",  # six networks in six files
    "cifar100/Linf/Wu2020Adversarial",
    "cifar100/Linf/Rice2020Overfitting",
    "imagenet/Linf/Salman2020Do_R18",
    "imagenet/Linf/Singh2023Revisiting_ConvNeXt-T-ConvStem",
    "imagenet/Linf/Singh2023Revisiting_ViT-S-ConvStem",
    "imagenet/Linf/Liu2023Comprehensive_ConvNeXt-B",
    "imagenet/Linf/Liu2023Comprehensive_Swin-B",
    "imagenet/Linf/Mo2022When_ViT-B",
    "imagenet/Linf/Peng2023Robust",
    "imagenet/Linf/Xu2024MIMIR_Swin-B",
    "imagenet/corruptions/Tian2022Deeper_DeiT-S",  # timm
    "imagenet/corruptions/AlexNet",  # timm
    "imagenet/Linf/Standard_R50",  # torchvision
)
NOT_HERE = {
    "cifar10/Linf/Bai2023Improving_edm": "its constructor calls CUDA",
}
"""families that no test builds, and why"""
LAST = ("Kireev2021Effectiveness", "Andriushchenko2020Understanding")
OUTSIDE = {"Debenedetti2022": "state_dict", "Tian2022": "model", "AlexNet": "", "Standard_R50": ""}
"""beginnings of names whose files hold timm's or torchvision's network alone, without normalisation -> under what"""
WITHOUT_PREFIX = ("Singh2023", "Peng2023", "Xu2024")
"""ImageNet files whose keys RobustBench takes as they are; it writes `model.` in front of the others'"""


def built(reference: str) -> nn.Module:
    """The factory's own network, with random weights and statistics that matter."""
    torch.manual_seed(0)
    entry = robustbench._entry(reference)
    with robustbench.zoo() as utils:
        net = robustbench_outside.untrained(utils, *entry) if not entry[3]["gdrive_id"] else entry[3]["model"]()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net.eval()


def place(reference: str, net: nn.Module, model_dir: Path) -> None:
    """Its weights where a user would have them, nested as RobustBench wants them."""
    path = robustbench.file_of(reference, model_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.stem
    urls = robustbench.sources(reference, model_dir)
    if len(urls) > 1:
        for file, part in zip(urls, net.models, strict=True):
            torch.save(part.state_dict(), file)
        return
    torch.save(_published(reference.split(":")[1].split("/")[0], name, net), path)


def _published(dataset: str, name: str, net: nn.Module) -> dict:
    """What RobustBench's file of a network holds."""
    state = net.state_dict()
    for start, part in OUTSIDE.items():
        if name.startswith(start):
            state = getattr(net, "model", net).state_dict()
            return {part: state} if part else state
    if dataset == "imagenet" and not name.startswith(WITHOUT_PREFIX):
        state = {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
    return {"last": state} if name.startswith(LAST) else state
