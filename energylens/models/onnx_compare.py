"""Does the torch network say what its ONNX graph says? onnxruntime is asked (extra `onnx`)."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from energylens.errors import Note, UserError, first_line
from energylens.models.onnx_graph import library

TRY = (32, 224)
"""sides of the images that a graph of free size is tried with"""
CLOSE = 1e-3
"""largest difference of two logits, as a part of the largest logit; rounding makes 1e-6 of it"""


def compare(path: Path, graph: Any, net: nn.Module, shape: list[int]) -> None:
    """Compare logits of two random images, or of one batch where its size is fixed.

    Args:
        path: where the graph was read, for messages.
        graph: the graph as it was read, with its weights.
        net: the torch network made of it.
        shape: [B, C, H, W] of its input, 0 where it is free.

    Raises:
        UserError: the logits differ, an image's depend on those beside it, or onnxruntime cannot run the graph.
    """
    run = _runner(path, graph)
    for side in TRY:
        x = _images(shape, side)
        batch = x[: shape[0] or len(x)]
        try:
            wanted = run(batch)
        except Exception as error:  # onnxruntime's own
            if 0 in shape[1:]:
                continue  # made for images of another size
            raise UserError(f"onnxruntime cannot run {path} ({first_line(error)}); export it again") from error
        if 0 in shape[1:] and wanted.shape[:1] != (len(batch),):
            continue
        rows = _rows(path, shape[0], net, x)
        _check_logits(path, rows[: len(batch)], wanted[:2])
        return
    note = (
        f"{path} takes images of any size but not of {TRY} pixels, so its logits were not compared with onnxruntime's"
    )
    warnings.warn(Note(note), stacklevel=2)


def _images(shape: list[int], side: int) -> Tensor:
    sizes = max(shape[0], 2), shape[1] or 3, shape[2] or side, shape[3] or side
    return torch.rand(sizes, generator=torch.Generator().manual_seed(0))


def _runner(path: Path, graph: Any) -> Any:
    """Images -> the graph's output, by onnxruntime."""
    runtime = library("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # its warnings are about speed
    try:
        session = runtime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(f"onnxruntime cannot run {path} ({first_line(error)}); export it again") from error
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x.numpy()})[0]


@torch.no_grad()
def _rows(path: Path, fixed: int, net: nn.Module, x: Tensor) -> np.ndarray:
    """The logits of two images, after one of them has given the same alone."""
    try:
        together, alone = net(x[:2]).numpy(), net(x[:1]).numpy()
        whole = len(together) == 2 and _close(together[:1], alone)
    except Exception:  # a shape that is written down in the graph
        whole = False
    if not whole:
        raise UserError(
            f"{path} was exported for batches of {fixed or 1}; export it with a free batch size: torch.onnx.export("
            "..., dynamo=False, input_names=['input'], dynamic_axes={'input': {0: 'batch'}})"
        )
    return together


def _check_logits(path: Path, given: np.ndarray, wanted: np.ndarray) -> None:
    if not _close(given, wanted):
        raise UserError(
            f"{path} means something else in torch: its logits of random images are not onnxruntime's (onnx2torch "
            "gets an operation wrong); load the network from its weights instead, FILE.pt@ARCHITECTURE"
        )


def _close(given: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal up to rounding; NaN equals NaN."""
    if given.shape != wanted.shape:
        return False
    bound = CLOSE * np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
    return bool(np.allclose(given, wanted, rtol=0, atol=bound, equal_nan=True))
