"""What the classes of a data set are called."""

NAMES = {
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "digits": ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
}


def name(data: str, label: int) -> str:
    """`horse` for class 7 of `cifar10`; `class 7` where a set has no names here."""
    names = NAMES.get(data, ())
    return names[label] if 0 <= label < len(names) else f"class {label}"
