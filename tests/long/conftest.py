"""Collected by `make test-long` only."""

import os

collect_ignore_glob = [] if os.environ.get("AELIB_LONG") else ["*"]
