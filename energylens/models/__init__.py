"""Model references -> eval-mode classifiers on [0, 1]. `load("demo:sat")`.

| reference | means |
|---|---|
| `demo:NAME` | a network of the zoo in this package |
| `robustbench:cifar10/Linf/NAME` | a RobustBench checkpoint |
| `FILE.py:function`, `module:function` | the user's own code that returns an `nn.Module` |
| `FILE.safetensors` | a checkpoint of our own trainers |
| `weights.pt@resnet18:classes=10` | a state dict with a named architecture |

`NAME=REFERENCE` gives a model a display name.
"""

import importlib
import re
from pathlib import Path

from torch import nn

from energylens import paths
from energylens.errors import UserError, first_line, unknown
from energylens.models import architectures, files, robustbench
from energylens.references import named

ZOO = Path(__file__).parent / "zoo"
FORMS = (
    "demo:NAME, robustbench:DATASET/THREAT/NAME, FILE.py:function, FILE.safetensors or weights.pt@resnet18:classes=10"
)


def load(reference: str, *, model_dir: Path | None = None, trust: bool = False) -> nn.Module:
    """The classifier of a reference, in eval mode, on the CPU.

    Args:
        reference: see the table above; a display name in front is ignored.
        model_dir: the folder with RobustBench's checkpoints.
        trust: let checkpoint files run code (`--trust-checkpoint`).

    Raises:
        UserError: nothing there, unreadable, or not a network.
    """
    reference = named(reference)[1]
    if reference.startswith("demo:"):
        return files.own(demo(reference.removeprefix("demo:")))
    if reference.startswith("robustbench:"):
        return robustbench.load(reference, model_dir or paths.model_dir(), trust)
    if ".py:" in reference:
        path, _, function = reference.partition(".py:")
        return _called(reference, paths.function(Path(f"{path}.py"), function))
    if "@" in reference:
        path, _, arch = reference.rpartition("@")
        state = files.weights(Path(path), trust)
        return files.fill(architectures.build(arch), state, f"{Path(path).name} does not fit {arch}")
    if reference.endswith(".safetensors"):
        return files.own(Path(reference))
    if re.fullmatch(r"[\w.]+:\w+", reference):
        return _called(reference, _imported(reference))
    hint = f"; say its architecture: {reference}@resnet18:classes=10" if Path(reference).is_file() else ""
    raise UserError(f"'{reference}' is no model reference{hint or f'; write {FORMS}'}")


def demo(name: str) -> Path:
    """The file of a demo network.

    Raises:
        UserError: there is none of that name.
    """
    known = {path.stem: path for path in sorted(ZOO.glob("*.safetensors"))}
    if name not in known:
        raise unknown("demo network", name, known)
    return known[name]


def prepare(references: tuple[str, ...], model_dir: Path | None = None) -> None:
    """Have every checkpoint at hand before any work: names checked, what is missing downloaded.

    Raises:
        UserError: two models share a name, or a checkpoint cannot be had.
    """
    seen: dict[str, str] = {}
    wanted: dict[Path, str] = {}
    for reference in references:
        name, bare = named(reference)
        if seen.setdefault(name, bare) != bare:
            raise UserError(f"two models are called '{name}': {seen[name]} and {bare}; name one: --models OTHER={bare}")
        if bare.startswith("robustbench:"):
            wanted |= robustbench.missing(bare, model_dir or paths.model_dir())
    if wanted:
        robustbench.fetch(wanted)


def _imported(reference: str):
    module, _, function = reference.partition(":")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"cannot import '{module}' of model {reference} ({first_line(error)})") from error
    if not callable(getattr(found, function, None)):
        known = [key for key, thing in vars(found).items() if callable(thing) and not key.startswith("_")]
        raise unknown(f"function in {module}", function, known)
    return getattr(found, function)


def _called(reference: str, function) -> nn.Module:
    try:
        net = function()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{reference} failed ({first_line(error)})") from error
    if not isinstance(net, nn.Module):
        raise UserError(f"{reference} returned {type(net).__name__}; it must return a torch.nn.Module")
    return net.eval()
