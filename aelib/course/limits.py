"""Limits inside the kernel that grades a sheet: an IPython startup file, put there by `grade`.

A cell, or a check in it, that computes for too long or prints too much is stopped by an exception;
the other cells go on. The limits of `confined` are around it, for all that this does not stop.
"""

import os
import signal
import sys

from IPython import get_ipython


class TookTooLong(Exception):
    pass


class PrintedTooMuch(Exception):
    pass


def _install() -> None:
    seconds = float(os.environ.get("AELIB_CELL_SECONDS", 60))  # of computing; 3 times that waiting
    most = 200_000  # characters a cell
    shell, kernel = get_ipython(), os.getpid()
    printed = again = 0

    def ring(number, frame) -> None:
        signal.setitimer(signal.ITIMER_PROF, again)  # once more, should this one be swallowed
        raise TookTooLong(f"stopped after {seconds:g} seconds")

    def before(info=None) -> None:
        nonlocal printed, again
        if os.getpid() != kernel:  # a fork of it
            return
        printed = 0
        # otter's last cell makes up for all checks that are not in the sheet
        last = "check_if_not_already_checked" in (getattr(info, "raw_cell", "") or "")
        again = seconds if last else 1
        signal.signal(signal.SIGPROF, ring)
        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, 3 * seconds, 5)

    def after(result=None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def limited(write):
        def write_some(text):
            nonlocal printed
            printed += len(text)
            if printed > most:
                raise PrintedTooMuch(f"more than {most:,} characters")
            return write(text)

        return write_some

    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)
    for stream in (sys.stdout, sys.stderr):
        stream.write = limited(stream.write)


# also when Python itself reads this file, as a test of its own may
if get_ipython() is not None:
    _install()
