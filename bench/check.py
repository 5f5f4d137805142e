"""Kernels against NumPy on this adapter, also those that no adapter of a CPU can run; natively: fanlight kernel.

python -m bench check --chrome PATH
python -m bench check --chrome PATH --only gemm_matrix"""

import argparse

from bench.page_device import add_device_arguments, open_chosen_device
from fanlight.cli.kernel import NOT_RUN, OK, check
from fanlight.kernels import cases


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench check", description=__doc__.splitlines()[0])
    add_device_arguments(parser)
    parser.add_argument("--only", choices=cases.stems(), help="one kernel")
    options = parser.parse_args(arguments)
    device = open_chosen_device(options)
    num_wrong = 0
    for stem in [options.only] if options.only else cases.stems():
        for case in cases.cases_of(stem):
            result = check(device, case)
            num_wrong += not result.startswith((OK, NOT_RUN))
            print(f"{stem} {case.name}: {result}", flush=True)
    device.close()
    print(f"{num_wrong} cases differ from NumPy")
    return 1 if num_wrong else 0
