"""The formats of strings that are enforced, each as a regular set no larger than its specification's."""

from collections.abc import Callable
from functools import lru_cache

from fanlight.grammar.regex import regex
from fanlight.grammar.regular import Dfa, difference, union

_YEAR = "[0-9]{4}"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DATE = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    f"|{_LEAP}-02-29)"
)
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_N = "[0-9]{1,9}"
_DURATION_TIME = f"T({_N}H({_N}M({_N}S)?)?|{_N}M({_N}S)?|{_N}S)"
_DURATION = f"P({_N}W|({_N}Y({_N}M({_N}D)?)?|{_N}M({_N}D)?|{_N}D)({_DURATION_TIME})?|{_DURATION_TIME})"
_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,28}[A-Za-z0-9])?"  # eight of them stay below a host name's 253 characters
_HOST = f"{_LABEL}(\\.{_LABEL}){{0,7}}"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = f"{_OCTET}(\\.{_OCTET}){{3}}"
_HEX = "[0-9A-Fa-f]"
_CHARACTER = f"([A-Za-z0-9._~!$&'()*+,;=:@-]|%{_HEX}{{2}})"  # pchar of RFC 3986
_AUTHORITY = f"(([A-Za-z0-9._~!$&'()*+,;=:-]|%{_HEX}{{2}})*@)?([A-Za-z0-9._~!$&'()*+,;=-]|%{_HEX}{{2}})*(:[0-9]*)?"
_TAIL = f"(\\?({_CHARACTER}|[/?])*)?(#({_CHARACTER}|[/?])*)?"
_HIER = f"(//{_AUTHORITY}(/{_CHARACTER}*)*|/({_CHARACTER}+(/{_CHARACTER}*)*)?"
_URI = f"[A-Za-z][A-Za-z0-9+.-]*:{_HIER}|{_CHARACTER}+(/{_CHARACTER}*)*)?{_TAIL}"
_NO_COLON = _CHARACTER.replace(":@", "@")
_RELATIVE = f"{_HIER}|{_NO_COLON}+(/{_CHARACTER}*)*)?{_TAIL}"
_POINTER = "(/([^~/]|~[01])*)*"
_NAME = f"([A-Za-z0-9_]|%{_HEX}{{2}})(\\.?([A-Za-z0-9_]|%{_HEX}{{2}}))*"
_VARIABLE = f"{_NAME}(:[1-9][0-9]{{0,3}}|\\*)?"
_TEMPLATE = f"([A-Za-z0-9._~!$&()*+,;=:@/?#\\[\\]-]|%{_HEX}{{2}}|\\{{[+#./;?&]?{_VARIABLE}(,{_VARIABLE})*\\}})*"
_PLAIN = (
    "[A-Za-z0-9 _@%&,;:!\"#'/<>=~-]|\\\\[dDwWsS.*+?()\\[\\]{}|^$\\\\/]|\\."  # of a regular expression that every reader takes
)
_CLASS = "\\[\\^?(a-z|A-Z|0-9|[A-Za-z0-9 _@%&,;:!#/<>=~]|\\\\[dws.*+?()\\[\\]{}|^$\\\\/-])+\\]"
_TIMES = "([*+?]|\\{[0-9]{1,3},?\\})?"
_INNER = f"(({_PLAIN}|{_CLASS}){_TIMES})+"
_OUTER = f"\\^?(({_PLAIN}|{_CLASS}|\\((\\?:)?{_INNER}(\\|{_INNER})*\\)){_TIMES})*\\$?"


def _ipv6() -> str:
    group = f"{_HEX}{{1,4}}"
    found = [f"({group}:){{7}}{group}", f"({group}:){{6}}{_IPV4}"]
    for before in range(8):
        left = f"{group}(:{group}){{{before - 1}}}" if before else ""
        after = 7 - before
        right = f"({group}(:{group}){{0,{after - 1}}})?" if after else ""
        found.append(f"{left}::{right}")
        if after >= 2:
            found.append(f"{left}::({group}:){{0,{after - 2}}}{_IPV4}")
    return "|".join(f"({part})" for part in found)


def _international(uri: str) -> str:
    return uri.replace("[A-Za-z0-9._~", "[A-Za-z0-9._~\\u00A0-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFEF")


def _email() -> Dfa:
    return regex(f"{_ATOM}(\\.{_ATOM})*@{_LABEL}(\\.{_LABEL}){{1,7}}")


def _hostname() -> Dfa:
    return difference(regex(_HOST), regex("(.*\\.)?..--.*"))  # without other scripts, encoded


def _from_year_one(pattern: str) -> Dfa:
    return difference(regex(pattern), regex("0000.*"))


FORMATS: dict[str, Callable[[], Dfa]] = {
    "date": lambda: _from_year_one(_DATE),
    "time": lambda: regex(_TIME),
    "date-time": lambda: _from_year_one(f"{_DATE}T{_TIME}"),
    "duration": lambda: regex(_DURATION),
    "email": _email,
    "idn-email": _email,
    "hostname": _hostname,
    "idn-hostname": _hostname,
    "ipv4": lambda: regex(_IPV4),
    "ipv6": lambda: regex(_ipv6()),
    "uuid": lambda: regex(f"{_HEX}{{8}}-({_HEX}{{4}}-){{3}}{_HEX}{{12}}"),
    "uri": lambda: regex(_URI),
    "iri": lambda: regex(_international(_URI)),
    "uri-reference": lambda: union(regex(_URI), regex(_RELATIVE)),
    "iri-reference": lambda: union(regex(_international(_URI)), regex(_international(_RELATIVE))),
    "uri-template": lambda: regex(_TEMPLATE),
    "regex": lambda: regex(f"{_OUTER}(\\|{_OUTER})*"),
    "json-pointer": lambda: regex(_POINTER),
    "relative-json-pointer": lambda: regex(f"(0|[1-9][0-9]{{0,8}})(#|{_POINTER})"),
}


@lru_cache(maxsize=32)
def string_format(name: str) -> Dfa | None:
    make = FORMATS.get(name)
    return make() if make else None
