"""Images that robust classifiers make from PCA starts; feeds Figure 6, top."""

from energylens.generate import EQ7, PCA, Generation, Method, demo

DEMO = Generation(
    models=(
        "SAT=demo:sat",
        "TRADES=demo:trades",
        "WEAT_ADV=demo:weat-adv",
        "WEAT_NAT=demo:weat-nat",
        "JEAT=demo:jeat",
        "SAT, half eps=demo:sat-half",
        "standard-6=demo:standard-6",
        "standard-10=demo:standard-10",
        "standard-14=demo:standard-14",
    ),
    data="digits:train",
    methods=(Method(PCA(), demo.EQ7),),
    images=50,
)
PAPER = Generation(
    models=(
        "SAT=robustbench:cifar10/Linf/Engstrom2019Robustness",
        "TRADES=robustbench:cifar10/Linf/Zhang2019Theoretically",
        "MART=robustbench:cifar10/Linf/Wang2020Improving",
        "AWP=robustbench:cifar10/Linf/Wu2020Adversarial",
        "Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",
    ),
    data="cifar10:train",
    methods=(Method(PCA(), EQ7),),
    images=50,
)
