"""What the classes of a data set are called."""

from energylens.errors import UserError, unknown

NAMES = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "digits": ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
}


def number(data: str, text: str) -> int:
    """The class of a name or a number, as a user types it: `horse`, `7`.

    Raises:
        UserError: it is neither.
    """
    names = NAMES.get(data, ())
    if text.isdecimal():
        return int(text)
    if text.lower() in names:
        return names.index(text.lower())
    raise unknown(f"class of {data}", text, names) if names else UserError(f"class {text}: give its number, 0 and up")


def name(data: str, label: int) -> str:
    """`horse` for class 7 of `cifar10`; `class 7` where a set has no names here."""
    names = NAMES.get(data, ())
    return names[label] if 0 <= label < len(names) else f"class {label}"
