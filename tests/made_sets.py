"""Made images and a made Tiny-ImageNet, in the layouts in which they are published."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def flat(colour: int, side: int = 64) -> bytes:
    """A grey JPEG of one brightness, which JPEG keeps."""
    return encoded(np.full((side, side), colour, np.uint8), "JPEG")


WNIDS = ("n02", "n03", "n01")
"""as wnids.txt has them; class 0 is n01"""
TINY = {
    "wnids.txt": "\n".join(WNIDS).encode(),
    "val/val_annotations.txt": b"val_0.JPEG\tn02\t0\t0\t62\t62\nval_10.JPEG\tn01\t0\t0\t9\t9\nval_9.JPEG\tn03\t0\n",
    "val/images/val_10.JPEG": flat(100),
    "val/images/val_0.JPEG": flat(0),
    "val/images/val_9.JPEG": flat(90),
    "train/n03/images/n03_1.JPEG": flat(31),
    "train/n01/images/n01_10.JPEG": flat(20),
    "train/n01/images/n01_2.JPEG": flat(12),
}


def tiny(top, kind: str, files: dict = TINY):
    """Tiny-ImageNet as a folder, .zip or .tar."""
    top.mkdir(exist_ok=True)
    files = {f"tiny-imagenet-200/{name}": content for name, content in files.items()}
    if kind == "folder":
        for name, content in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(content)
    elif kind == "zip":
        with zipfile.ZipFile(top / "tiny-imagenet-200.zip", "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)
    else:
        with tarfile.open(top / "tiny-imagenet-200.tar", "w") as packed:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    return top
