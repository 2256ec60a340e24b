"""Images from several starts, and of several networks with eq. 7, scored; feeds Table 2b.

The paper does not tell how many steps its final images took; eq. 7's are those of its best documented notebook.
"""

from energylens.generate import EQ7, PCA, SAMPLERS, SGLD, Gaussian, Generation, Method, Random, Scored, demo

SEEDS = (0, 1, 2)
NONE = SAMPLERS["none"]
SPACES = ("demo:standard-14", "demo:standard-10")


def _seeds(*methods: Method) -> tuple[Method, ...]:
    return tuple(Method(method.start, method.sampler, seed) for method in methods for seed in SEEDS)


DEMO = Scored(
    (
        Generation(
            models=("no network=demo:sat",),
            data="digits:train",
            methods=_seeds(Method(PCA(), NONE), Method(Gaussian(), NONE)),
            images=300,
        ),
        Generation(
            models=("SAT=demo:sat",),
            data="digits:train",
            methods=_seeds(Method(Gaussian(), demo.EQ7), Method(PCA(), demo.SGLD)),
            images=300,
        ),
        Generation(
            models=("SAT=demo:sat", "TRADES=demo:trades", "WEAT_ADV=demo:weat-adv", "standard-6=demo:standard-6"),
            data="digits:train",
            methods=_seeds(Method(Random(), demo.EQ7), Method(PCA(), demo.EQ7)),
            images=300,
        ),
    ),
    SPACES,
)
LINF, L2 = "robustbench:cifar10/Linf/", "robustbench:cifar10/L2/"
PAPER = Scored(
    (
        Generation(
            models=(f"no network={LINF}Wang2023Better_WRN-28-10",),
            data="cifar10:train",
            methods=(Method(PCA(), NONE), Method(Gaussian(), NONE)),
            images=50_000,
        ),
        Generation(
            models=(f"Better DM Linf={LINF}Wang2023Better_WRN-28-10",),
            data="cifar10:train",
            methods=(Method(Random(), EQ7), Method(Gaussian(), EQ7), Method(PCA(), SGLD)),
            images=50_000,
        ),
        Generation(
            models=(f"Better DM L2={L2}Wang2023Better_WRN-28-10",),
            data="cifar10:train",
            methods=(Method(Gaussian(), EQ7),),
            images=50_000,
        ),
        Generation(
            models=(
                f"SAT Linf={LINF}Engstrom2019Robustness",
                f"TRADES={LINF}Zhang2019Theoretically",
                f"MART={LINF}Wang2020Improving",
                f"Better DM Linf={LINF}Wang2023Better_WRN-28-10",
                f"SAT L2={L2}Engstrom2019Robustness",
                f"Better DM L2={L2}Wang2023Better_WRN-28-10",
            ),
            data="cifar10:train",
            methods=(Method(PCA(), EQ7),),
            images=50_000,
        ),
    ),
)
