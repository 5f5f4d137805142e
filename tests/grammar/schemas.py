"""Random JSON schemas of most keywords, over few names and small values, so that they often agree and often clash."""

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "ab", "c"])
TYPES = st.sampled_from(
    ["integer", "string", "null", "boolean", "number", "array", "object", ["string", "null"], ["object", "array"]]
)
SCALARS = st.sampled_from([None, True, False, 0, 1, 2, 3, -1, 1.5, "a", "b", "ab", "", "é", "ba"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 1.5, -0.5])
COUNTS = st.integers(0, 3)
PATTERNS = st.sampled_from(["^a", "b$", "a", "^[ab]*$", "^.{1,2}$", "é|b", "^$", r"\w", r"^\S+$", r"\bb"])


def values() -> st.SearchStrategy:
    return st.recursive(
        SCALARS, lambda held: st.lists(held, max_size=3) | st.dictionaries(NAMES, held, max_size=3), max_leaves=5
    )


def schemas() -> st.SearchStrategy:
    return st.recursive(st.booleans() | st.just({}) | TYPES.map(lambda t: {"type": t}), _larger, max_leaves=6)


def _larger(held: st.SearchStrategy) -> st.SearchStrategy:
    some = st.lists(held, min_size=1, max_size=3)
    groups = [
        {"type": TYPES},
        {"minimum": NUMBERS, "maximum": NUMBERS, "exclusiveMinimum": NUMBERS, "exclusiveMaximum": NUMBERS},
        {"multipleOf": st.sampled_from([1, 2, 3, 0.5, 1.5])},
        {"minLength": COUNTS, "maxLength": COUNTS, "pattern": PATTERNS},
        {"items": held, "prefixItems": some, "minItems": COUNTS, "maxItems": COUNTS},
        {"contains": held, "minContains": COUNTS, "maxContains": COUNTS, "items": held},
        {"unevaluatedProperties": held, "anyOf": some, "properties": st.dictionaries(NAMES, held, max_size=2)},
        {"unevaluatedItems": held, "allOf": some, "prefixItems": some},
        {"properties": st.dictionaries(NAMES, held, max_size=3), "required": st.lists(NAMES, max_size=2, unique=True)},
        {"additionalProperties": held, "patternProperties": st.dictionaries(PATTERNS, held, max_size=2)},
        {"minProperties": COUNTS, "maxProperties": COUNTS, "propertyNames": held},
        {"dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=1), max_size=2)},
        {"dependentSchemas": st.dictionaries(NAMES, held, max_size=1)},
        {"anyOf": some, "oneOf": some, "allOf": some},
        {"not": held},
        {"if": held, "then": held, "else": held},
        {"enum": st.lists(values(), min_size=1, max_size=3)},
        {"const": values()},
    ]
    chosen = st.one_of([st.fixed_dictionaries({}, optional=group) for group in groups])
    return st.lists(chosen, min_size=1, max_size=3).map(lambda parts: {k: v for part in parts for k, v in part.items()})
