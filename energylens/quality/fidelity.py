"""Inception score, Frechet and kernel distance, precision and recall, all computed by torch-fidelity."""

import hashlib
import math
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc
from torch_fidelity.utils import extract_featuresdict_from_input_id_cached

from energylens import paths
from energylens.errors import UserError, first_line
from energylens.quality import features, spaces
from energylens.quality.pixels import SEED, Images
from energylens.quality.spaces import Space

SPLITS = 10
"""of the inception score"""
SUBSET, SUBSETS, SUBSET_OF_PAPER = 1000, 100, 10
"""images in a subset of KID; how many subsets; images in one of the paper's"""
NEIGHBOURS = 3
"""k of precision and recall"""

Layers = dict[str, Tensor]
"""layer -> [N, F] features"""


class Pixels(Dataset):
    """Images as torch-fidelity reads them: [C, H, W] uint8, grey ones as RGB where a network wants colours."""

    def __init__(self, images: Tensor, rgb: bool):
        self.images, self.rgb = images, rgb and images.shape[1] == 1

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> Tensor:
        image = self.images[place]
        return image.expand(3, -1, -1) if self.rgb else image


def scores(made: Images, real: Images, space: Space, device: str = "cpu", batch: int = 100) -> dict[str, Any]:
    """All scores that features give, as `energylens.quality` lists them.

    Images of which there are too few for a score have None there: 10 for IS and the paper's KID, 2 for FID and KID,
    4 for precision and recall.
    """
    settings = _settings(made, real, space, device, batch)
    try:
        ours, theirs, statistics = _extracted(space, settings, device)
    except OSError as error:
        raise UserError(
            f"cannot keep features in {settings['cache_root']} ({first_line(error)}); set $ENERGYLENS_HOME"
        ) from error
    found = {
        **_inception_score(ours, settings),
        "fid": _fid(ours[space.layer], statistics),
        **_kid(ours, theirs, space.layer, settings),
        **_precision_recall(ours, theirs, space.layer, settings),
        "intended": _intended(ours, made.labels),
    }
    return {name: value if value is not None and math.isfinite(value) else None for name, value in found.items()}


def _settings(made: Images, real: Images, space: Space, device: str, batch: int) -> dict[str, Any]:
    """torch-fidelity's keywords: no worker processes, no output, the real images' features kept."""
    rgb = space.net is None
    which = hashlib.sha256(f"{real.sha}:{space.sha}".encode()).hexdigest()[:32]
    return {
        "input1": Pixels(made.images, rgb),
        "input2": Pixels(real.images, rgb),
        "input2_cache_name": f"real-{which}",
        "cache_root": str(paths.home() / "fidelity"),
        "feature_extractor_weights_path": space.file and str(space.file),
        "cuda": torch.device(device).type == "cuda",
        "batch_size": batch,
        "rng_seed": SEED,
        "isc_splits": SPLITS,
        "kid_subsets": SUBSETS,
        "prc_neighborhood": NEIGHBOURS,
        "prc_batch_size": 500,  # 50,000 distances each are 100 MB
        "save_cpu_ram": True,
        "verbose": False,
    }


def _extracted(space: Space, settings: dict[str, Any], device: str) -> tuple[Layers, Layers, dict[str, Any]]:
    """Features of the images, of the real ones, and mean and covariance of the latter."""
    current = torch.cuda.device(device if settings["cuda"] else -1)  # torch-fidelity takes the current one
    with current, torch.random.fork_rng(devices=[]):  # Inception's weights are drawn first, and loaders draw a seed
        extractor = spaces.extractor(space, settings).to(device if settings["cuda"] else "cpu")
        ours = extract_featuresdict_from_input_id_cached(1, extractor, **settings)
        theirs = extract_featuresdict_from_input_id_cached(2, extractor, **settings)
    extractor.cpu()
    name = settings["input2_cache_name"]
    if len(theirs[space.layer]) < 2:
        return ours, theirs, {}
    statistics = metric_fid.fid_featuresdict_to_statistics_cached(theirs, name, extractor, space.layer, **settings)
    return ours, theirs, statistics


def _inception_score(ours: Layers, settings: dict[str, Any]) -> dict[str, float | None]:
    """Of the logits without bias, as in Salimans's code and torch-fidelity."""
    if len(ours[features.UNBIASED]) < SPLITS:
        return {"is_mean": None, "is_std": None}
    found = metric_isc.isc_featuresdict_to_metric(ours, features.UNBIASED, **settings)
    return {"is_mean": found[metric_isc.KEY_METRIC_ISC_MEAN], "is_std": found[metric_isc.KEY_METRIC_ISC_STD]}


def _fid(ours: Tensor, statistics: dict[str, Any]) -> float | None:
    if len(ours) < 2 or not statistics:
        return None
    found = metric_fid.fid_statistics_to_metric(metric_fid.fid_features_to_statistics(ours), statistics, False)
    return found[metric_fid.KEY_METRIC_FID]


def _kid(ours: Layers, theirs: Layers, layer: str, settings: dict[str, Any]) -> dict[str, float | None]:
    fewest = min(len(ours[layer]), len(theirs[layer]))
    subset = min(SUBSET, fewest) if fewest > 1 else None
    mean, std = _kernel(ours[layer], theirs[layer], subset, settings)
    of_paper = SUBSET_OF_PAPER if fewest >= SUBSET_OF_PAPER else None
    paper_mean, paper_std = _kernel(ours[features.UNBIASED], theirs[features.UNBIASED], of_paper, settings)
    return {
        "kid": mean,
        "kid_std": std,
        "kid_subset": subset,
        "kid_paper": paper_mean,
        "kid_paper_std": paper_std,
    }


def _kernel(
    ours: Tensor, theirs: Tensor, subset: int | None, settings: dict[str, Any]
) -> tuple[float | None, float | None]:
    if subset is None:
        return None, None
    found = metric_kid.kid_features_to_metric(ours, theirs, **(settings | {"kid_subset_size": subset}))
    return found[metric_kid.KEY_METRIC_KID_MEAN], found[metric_kid.KEY_METRIC_KID_STD]


def _precision_recall(ours: Layers, theirs: Layers, layer: str, settings: dict[str, Any]) -> dict[str, float | None]:
    if min(len(ours[layer]), len(theirs[layer])) <= NEIGHBOURS:
        return {"precision": None, "recall": None}
    found = metric_prc.prc_features_to_metric(ours[layer], theirs[layer], **settings)
    return {"precision": found[metric_prc.KEY_METRIC_PRECISION], "recall": found[metric_prc.KEY_METRIC_RECALL]}


def _intended(ours: Layers, labels: Tensor) -> float | None:
    """Share that the network takes for the class wanted; None where its classes are others."""
    return float((ours[features.LOGITS].argmax(1) == labels).double().mean()) if features.LOGITS in ours else None
