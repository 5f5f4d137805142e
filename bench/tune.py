"""What tuning finds on this machine's adapter: every candidate's time, the winner, and how long it all took.

usage: python bench/tune.py MODEL [--seconds 2]"""

import argparse
import time
from dataclasses import astuple
from statistics import median

from fanlight.api.load import LoadOptions
from fanlight.compiler.tuning import Tuning, start_of
from fanlight.driver import run
from fanlight.engine.load import compile_model
from fanlight.formats.checkpoint import open_checkpoint
from fanlight.formats.resolve import resolve_model
from fanlight.models import open_model
from fanlight.runtime import autotune as tuner
from fanlight.runtime import open_device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--seconds", type=float, default=tuner.BUDGET_S)
    parser.add_argument("--context-length", type=int, default=1024)
    options = parser.parse_args()
    device = open_device("native")
    tuning = Tuning(start_of(*astuple(device.info)))
    model = run(open_model(run(open_checkpoint(run(resolve_model(options.model))))))
    program = compile_model(model, device.limits, LoadOptions(options.context_length), tuning)
    contests = tuner.contests_of(program, tuning, device.limits)
    decide, start = tuner._winner, time.perf_counter()

    async def told(contest: tuner.Contest, times: list[list[float]], arena: object, device: object) -> object:
        winner = await decide(contest, times, arena, device)
        print(f"{contest.key}: {len(times[0])} rounds, {time.perf_counter() - start:.2f} s so far")
        for candidate, taken in zip(contest.candidates, times, strict=True):
            share = median(taken) / median(times[0])
            spread = tuner._spread(taken) / median(taken)
            mark = "  wins" if candidate is winner else ""
            print(f"  {astuple(candidate.cut)!s:44} {share:6.2f} of the usual, spread {spread:5.1%}{mark}")
        return winner

    tuner._winner = told
    found = run(tuner.autotune(contests, device, options.seconds))
    print(f"{len(found)} of {len(contests)} decided in {time.perf_counter() - start:.2f} s on {device.info.description}")
    device.close()


if __name__ == "__main__":
    main()
