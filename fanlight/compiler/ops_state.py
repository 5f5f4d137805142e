"""Recurrences, as ops.py has all other operations: one row after the other."""

from fanlight.arrays import Array
from fanlight.compiler.ops_sound import Said, Values
from fanlight.kernels.wkv import stepped


def _scan(i: Values) -> Array:
    import numpy as np

    a, x = i.node.attrs, i["x"]
    heads, groups = a["heads"], a["groups"]
    rates = i["a"].reshape(heads, 1, -1)
    rates = -np.exp(rates) if a["is_log"] else rates
    both = i["bc"].reshape(len(x), 2, groups, 1, -1).repeat(heads // groups, axis=2)  # [T, 2, H, 1, N]
    kept, rows = np.zeros(()), []
    for inputs, dt, (b, c) in zip(x.reshape(len(x), heads, -1, 1), i["dt"].reshape(len(x), heads, 1, 1), both, strict=True):
        kept = np.exp(dt * rates) * kept + dt * inputs * b  # [H, P, N]
        rows.append(((kept * c).sum(axis=2) + i["d"].reshape(-1, 1) * inputs[..., 0]).reshape(-1))
    return np.stack(rows)


def _shift(i: Values) -> Array:
    import numpy as np

    return np.concatenate([np.zeros((1, i["x"].shape[1])), i["x"][:-1]])


def _wkv(i: Values) -> Array:
    import numpy as np

    heads, names = i.node.attrs["heads"], ("rb", "w", "k", "v", "ka")
    size = i["w"].shape[1] // heads
    held, made = np.zeros((heads, size, size)), []
    for t in range(len(i["w"])):
        held, y = stepped(held, {name: i[name][t] for name in names})
        made.append(y)
    return np.stack(made)


STATE_OPS: dict[str, Said] = {  # ops.Op's fields
    "scan": (_scan, ("x", "dt", "bc", "a", "d"), (), ("layer", "heads", "groups", "states", "is_log"), ()),
    "shift": (_shift, ("x",), (), ("layer",), ()),
    "wkv": (_wkv, ("rb", "w", "k", "v", "ka"), (), ("layer", "heads"), ()),
}
