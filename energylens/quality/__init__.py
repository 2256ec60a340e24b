"""Scores of generated images, always with the feature space that they were taken in. No torch at import.

| column | means |
|---|---|
| `space`, `space_sha` | whose features these are: `inception`, or a network's reference, and its number |
| `n`, `real` | images scored, and training images that they are compared with |
| `is_mean`, `is_std` | inception score, over 10 splits |
| `fid` | squared Frechet distance of Gaussians fitted to the features |
| `kid`, `kid_std`, `kid_subset` | kernel distance of the features, mean and deviation over 100 subsets of this size |
| `kid_paper`, `kid_paper_std` | the same of the logits without their bias, subsets of 10, as Mirza et al. have it |
| `precision`, `recall` | share of images within reach of the real ones, and the other way round |
| `lpips`, `lpips_space` | perceptual distance to training images of the class, and whose layers it is taken in |
| `nearest`, `nearest_real` | mean L2 pixel distance to the nearest training image; of training images to another one |
| `intended`, `svm` | share that the space's network, and an SVM on real pixels, take for the class that was wanted |

None stands where a score cannot be had.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from energylens import references
from energylens.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from energylens.data import Data
    from energylens.quality.spaces import Space

INCEPTION = "inception"


def distinct(spaces: Iterable[str]) -> tuple[str, ...]:
    """References of feature spaces in order, each once.

    Raises:
        UserError: two have the same name in tables, which leave out folders.
    """
    known: dict[str, str] = {}
    for space in spaces:
        name = references.public(space)
        if known.setdefault(name, space) != space:
            raise UserError(
                f"tables would call {known[name]} and {space} both '{name}'; leave one out, or rename its file"
            )
    return tuple(known.values())


def measure(
    images: Any,
    labels: Any,
    real: Data,
    space: str | Space,
    *,
    device: str = "cpu",
    batch: int = 100,
    model_dir: Path | None = None,
    trust: bool = False,
    inception: Path | None = None,
    alexnet: Path | None = None,
    generator: str | None = None,
) -> dict[str, Any]:
    """Score images against the training images of their set, with torch-fidelity and torchmetrics.

    The real images' features stay in `$ENERGYLENS_HOME/fidelity` and are not computed again.

    Args:
        images: [N, C, H, W] uint8, tensor or array.
        labels: [N] the classes that were wanted.
        real: training images of the same size; all that are selected are compared with.
        space: whose features: `inception`, or a model reference, such as `demo:standard-14`; or one that is opened.
        device: of the networks and of pixel distances.
        batch: images at once.
        model_dir: the folder with RobustBench's checkpoints.
        trust: let checkpoint files run code.
        inception: file of Inception's weights; the cache's, or fetched, if None.
        alexnet: file of AlexNet's weights for LPIPS; the cache's, or fetched, if None.
        generator: `model_sha` of the network that made the images, which must not judge them.

    Returns:
        Column -> value, as in the table above.

    Warns:
        Note: AlexNet's weights cannot be had, so that LPIPS is taken in the layers of the space's network.

    Raises:
        UserError: images, labels or real images do not fit, the network is not usable, its weights cannot be had, or
            it made the images itself.

    Source: Salimans et al. 2016 (arXiv:1606.03498), Heusel et al. 2017 (arXiv:1706.08500), Binkowski et al. 2018
    (arXiv:1801.01401), Kynkaanniemi et al. 2019 (arXiv:1904.06991), Zhang et al. 2018 (arXiv:1801.03924).
    """
    from energylens.quality import fidelity, lpips, pixels, spaces

    made = pixels.checked(images, labels, real)
    opened = space
    if isinstance(opened, str):
        opened = spaces.opened(opened, real, model_dir=model_dir, trust=trust, weights=inception)
    if generator == opened.sha:
        raise spaces.own_features(opened.name)
    known = pixels.of(real)
    distance = lpips.score(made, known, opened, alexnet, device, batch)  # first, since its file may be unreadable
    return {
        "space": opened.name,
        "space_sha": opened.sha,
        "n": len(made.images),
        "real": len(known.images),
        **fidelity.scores(made, known, opened, device, batch),
        **distance,
        "nearest": pixels.nearest(made, known, device),
        "nearest_real": pixels.nearest_real(known, device),
        "svm": pixels.svm(made, known),
    }
