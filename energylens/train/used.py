"""Which options are of use to which objectives: one that none can use is refused, else those that cannot go without.

So `sat weat-adv --burn-in 3` trains sat by its usual recipe, whose description does not name the option.
"""

from collections.abc import Callable, Iterable

from energylens.errors import UserError, option
from energylens.train.objectives import Objective, objective
from energylens.train.settings import Settings
from energylens.train.subset import UNPERTURBED, Apart

USED: dict[str, tuple[Callable[[Settings, Objective], bool], str]] = {
    "val_images": (lambda settings, row: settings.select == "best-val", "without --select best-val"),
    "awp_warmup": (lambda settings, row: settings.awp > 0, "without --awp"),
    "momentum": (
        lambda settings, row: settings.optimizer == "sgd" and not settings.cycle_momentum,
        "but for sgd with --no-cycle-momentum",
    ),
    "attack_steps": (
        lambda settings, row: row.inner is not None and row.inner.steps is None,
        "for an objective without them",
    ),
    "step_size": (
        lambda settings, row: row.inner is not None and row.inner.step is None,
        "for an objective without it",
    ),
    "normalize": (lambda settings, row: row.weighted, ""),
    "burn_in": (lambda settings, row: row.weighted, ""),
    "beta": (lambda settings, row: row.has_kl, ""),
    "der": (lambda settings, row: row.inner is not None, ""),
    "sgld_steps": (lambda settings, row: row.negatives is not None, ""),
    "buffer": (lambda settings, row: row.negatives is not None, ""),
    "rho": (lambda settings, row: row.negatives is not None, ""),
}
"""option -> when it is used, what is said where nobody does; nothing where the run itself is refused later, in words"""


def idle(recipes: dict[str, Settings], given: Iterable[str]) -> dict[str, set[str]]:
    """For each objective the options that it trains without, since another one alone can use them.

    Args:
        recipes: objective -> its recipe with all that is given.
        given: the options that a user has typed.

    Raises:
        UserError: unknown objective, or an option that none can use.
    """
    without: dict[str, set[str]] = {name: set() for name in recipes}
    rows = {name: objective(name) for name in recipes}
    for setting in given:
        used, says = USED.get(setting, (lambda settings, row: True, ""))
        using = {name for name, settings in recipes.items() if used(settings, rows[name])}
        if not using and says:
            raise UserError(f"{option(setting)} changes nothing {says}; leave it out")
        for name in set(recipes) - using if using else ():
            without[name].add(setting)
    return without


def apart(name: str, objectives: Iterable[str], asked: Apart) -> Apart:
    """The subset of an objective's runs: none where it attacks no image, and others that do leave it unperturbed."""
    attack = {one for one in objectives if objective(one).inner is not None}
    return (None, None, None) if asked[1] == UNPERTURBED and attack and name not in attack else asked
