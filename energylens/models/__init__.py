"""Model references -> eval-mode classifiers on [0, 1]. `load("demo:sat")`.

| reference | means |
|---|---|
| `demo:NAME` | a network of the zoo in this package |
| `robustbench:cifar10/Linf/NAME` | a RobustBench checkpoint |
| `FILE.py:function`, `module:function` | the user's own code that returns an `nn.Module` |
| `FILE.safetensors` | a checkpoint of our own trainers |
| `weights.pt@resnet18:classes=10` | a state dict with a named architecture |
| `model.onnx` | an ONNX graph |

`NAME=REFERENCE` gives a model a display name.
"""

import copy
import difflib
import re
from pathlib import Path

from torch import nn

from energylens import paths
from energylens.errors import UserError, unknown
from energylens.models import files, onnx_file, robustbench
from energylens.references import named, run_command

KINDS = ("demo", "robustbench")
GIVEN: dict[str, nn.Module] = {}
"""networks that have no reference but this process's"""
ZOO = Path(__file__).parent / "zoo"
FORMS = (
    "demo:NAME, robustbench:DATASET/THREAT/NAME, FILE.py:function, FILE.safetensors, FILE.onnx or "
    "weights.pt@resnet18:classes=10"
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
    if reference.startswith("given:"):
        return _given(reference.removeprefix("given:"))
    if ".py:" in reference:
        path, _, function = reference.partition(".py:")
        return _network(reference, paths.call(Path(f"{path}.py"), function))
    if Path(reference).is_file():
        return _file(Path(reference), trust)
    if "@" in reference:
        path, _, arch = reference.rpartition("@")
        if path.endswith(".onnx"):
            raise UserError(f"{path} holds its own architecture; leave out @{arch}")
        return files.named(Path(path), arch, trust)
    if re.fullmatch(r"[\w.]+:\w+", reference):
        return _network(reference, paths.called(reference, _imported(reference)))
    if reference.endswith((".safetensors", ".onnx", ".pt", ".pth", ".th", ".ckpt")):
        command = run_command(reference)
        raise UserError(f"no such checkpoint: {reference}" + (f"; train it: {command}" if command else ""))
    raise UserError(f"'{reference}' is no model reference; write {FORMS}")


def give(name: str, net: nn.Module) -> str:
    """A reference for a network of this process, as it is now; other processes cannot load it."""
    GIVEN[name] = copy.deepcopy(net).cpu()
    return f"{name}=given:{name}"


def _given(name: str) -> nn.Module:
    if name not in GIVEN:
        raise UserError(f"network '{name}' is known to the process that made it alone; give FILE.py:function instead")
    return copy.deepcopy(GIVEN[name]).eval()


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
        UserError: two models share a name, networks are to be trained first, or a checkpoint cannot be had.
    """
    seen: dict[str, str] = {}
    wanted: dict[Path, str] = {}
    untrained: dict[str, str] = {}
    for reference in references:
        name, bare = named(reference)
        if not name or name[0] in "_.":
            raise UserError(f"'{reference}' gives no usable name; write NAME={bare}, NAME not starting with _ or .")
        if name in seen and seen[name] == bare:
            raise UserError(f"model {reference} is named twice; leave one out")
        if seen.setdefault(name, bare) != bare:
            raise UserError(f"two models are called '{name}': {seen[name]} and {bare}; name one: --models OTHER={bare}")
        if bare.startswith("robustbench:"):
            if reason := robustbench.refused(bare):
                raise UserError(f"model {bare} returns {reason}, no logits, so its energies mean nothing; leave it out")
            wanted |= robustbench.missing(bare, model_dir or paths.model_dir())
        elif (command := run_command(bare)) and not Path(bare).is_file():
            untrained[bare] = command
    if untrained:
        commands = "; ".join(dict.fromkeys(untrained.values()))
        raise UserError(f"to be trained first: {', '.join(untrained)}; type: {commands}")
    if wanted:
        robustbench.fetch(wanted)


def _file(path: Path, trust: bool) -> nn.Module:
    if path.suffix == ".safetensors":
        return files.own(path)
    if path.suffix == ".onnx":
        return onnx_file.load(path)
    if path.suffix == ".py":
        raise UserError(f"'{path}' alone is no model reference; write {path}:FUNCTION")
    return files.alone(path, trust)


def _imported(reference: str):
    module, _, function = reference.partition(":")
    try:
        found = paths.module(module, f"model {reference}")
    except UserError as error:
        if difflib.get_close_matches(module, KINDS):
            raise unknown("kind of model reference", module, KINDS) from error
        raise
    return paths.function_of(found, function, module)


def _network(reference: str, net) -> nn.Module:
    if not isinstance(net, nn.Module):
        raise UserError(f"{reference} returned {type(net).__name__}; it must return a torch.nn.Module")
    return net.eval()
