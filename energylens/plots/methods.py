"""The trainers' names and colours, the same in all figures and tables."""

LABELS = {
    "standard": "standard",
    "sat": "SAT",
    "trades": "TRADES",
    "mart": "MART",
    "mail-at": "MAIL-AT",
    "mail-trades": "MAIL-TRADES",
    "weat-nat": "WEAT_NAT",
    "weat-adv": "WEAT_ADV",
    "jeat": "JEAT",
}
"""objective -> its name in the paper"""
COLOURS = {
    "sat": "#7b4fa3",
    "trades": "#2ca02c",
    "mart": "#8c564b",
    "mail-trades": "#ff7f0e",
    "weat-nat": "#1f77b4",
    "weat-adv": "#d62728",
    "jeat": "#17becf",
}
"""objective -> its colour; those of Table 2a are the paper's"""


def label(objective: str) -> str:
    """The paper's name of an objective, its own where the paper has none."""
    return LABELS.get(objective, objective)


def colour(objective: str) -> str:
    """The colour of an objective in all figures; grey for those that have none."""
    return COLOURS.get(objective, "#7f7f7f")
