"""Collected by `make test-browser` only: a browser is no requirement of the tests."""

import os

collect_ignore_glob = [] if os.environ.get("AELIB_BROWSER") else ["*"]
