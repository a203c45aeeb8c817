"""Pickles, which are never read, as a program may be hidden in them: the lines that convert one are given instead.

Whether it holds a dictionary, a sequence or a data frame is found by pickletools, which lists a pickle's instructions
without obeying them.
"""

import pickletools
from collections.abc import Sequence
from itertools import islice

from hitofude.errors import InputError
from hitofude.inputs.formats.archive import PACKED, Place, open_file

START = 1 << 20
LOOKED_AT = 200
"""The instructions that tell what a pickle holds."""
_OPENERS = {"gz": "gzip", "xz": "lzma", "bz2": "bz2"}
_NAMES = "{2: ['images', 'labels'], 4: ['x_train', 'y_train', 'x_test', 'y_test'], 6: ['x_train', 'y_train', 'x_val', "
_NAMES += "'y_val', 'x_test', 'y_test']}"


def refuse_pickle(path: Place) -> InputError:
    """Return the refusal, with two lines that convert the file as it is."""
    stem = path.name.split(".")[0]
    with path.open("rb") as stream:
        start = stream.read(16)
    packed = next((ending[1:] for magic, (ending, _) in PACKED.items() if start.startswith(magic)), "")
    module = _OPENERS.get(packed, "")
    read = f"pathlib.Path('{path}').read_bytes()"
    read = f"{module}.decompress({read})" if module else read
    if path.suffix.lower() in (".pt", ".pth"):
        code = (
            f"import numpy, torch; images, labels = torch.load('{path}', weights_only=True)[:2]; "
            f"numpy.savez('{stem}.npz', images=images.numpy(), labels=labels.numpy())"
        )
        return _refusal(path, code, f"{stem}.npz")
    content = _content(path)
    if content == "frame":
        return _refusal(
            path, f"import pandas; pandas.read_pickle('{path}').to_csv('{stem}.csv', index=False)", f"{stem}.csv"
        )
    code = f"import {module + ', ' if module else ''}pathlib, pickle, numpy; "
    code += f"d = pickle.loads({read}, encoding='latin1'); "
    if content == "dict":
        code += f"numpy.savez('{stem}.npz', **{{k if isinstance(k, str) else k.decode(): v for k, v in d.items()}})"
    else:
        code += "a = d if hasattr(d[0], 'shape') else [v for part in d for v in part]; "
        code += f"numpy.savez('{stem}.npz', **dict(zip({_NAMES}[len(a)], a)))"
    return _refusal(path, code, f"{stem}.npz")


def refuse_batches(folder: Place, batches: Sequence[str], test: Sequence[str]) -> InputError:
    """Return the refusal of CIFAR's folder of pickles, with the two lines that convert all of them."""
    code = (
        "import pathlib, pickle, numpy; "
        "text = lambda d: {k if isinstance(k, str) else k.decode(): v for k, v in d.items()}; "
        f"read = lambda name: text(pickle.loads(pathlib.Path('{folder}', name).read_bytes(), encoding='latin1')); "
        "labels = lambda d: d.get('labels') or d['fine_labels']; "
        f"train, test = [[read(name) for name in names] for names in ({list(batches)}, {list(test)})]; "
        "numpy.savez('cifar.npz', x_train=numpy.concatenate([d['data'] for d in train]), "
        "y_train=sum([labels(d) for d in train], [])"
    )
    if test:
        code += ", x_test=test[0]['data'], y_test=labels(test[0])"
    return _refusal(folder, f"{code})", "cifar.npz", plural=True)


def _refusal(path: Place, code: str, result: str, *, plural: bool = False) -> InputError:
    found = (
        "these are pickles, which may hold hidden programs"
        if plural
        else "this is a pickle, which may hold a hidden program"
    )
    return InputError(
        f"{path}: {found}, so hitofude does not read {'them' if plural else 'it'}. If you trust where "
        f"{'they come' if plural else 'it comes'} from, convert {'them' if plural else 'it'}:\n"
        f'  python -c "{code}"\n  hitofude run {result}'
    )


def _content(path: Place) -> str:
    """Tell whether the pickle holds a `frame`, a `dict` or a `sequence`, by its first instructions."""
    with open_file(path) as stream:
        start = stream.read(START)
    found = []
    try:
        for instruction in islice(pickletools.genops(start), LOOKED_AT):
            found.append(instruction)  # noqa: PERF402, those before the fault count
    except Exception:  # noqa: S110, the rest is missing, or damaged, and is refused in any case
        pass
    if any(isinstance(argument, str) and argument.startswith("pandas") for _, argument, _ in found[:20]):
        return "frame"
    names = [opcode.name for opcode, _, _ in found if opcode.name not in ("PROTO", "FRAME")]
    return "dict" if names[:1] == ["EMPTY_DICT"] or names[:2] == ["MARK", "DICT"] else "sequence"
