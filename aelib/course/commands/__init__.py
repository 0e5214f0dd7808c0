"""The commands of `python -m aelib`, a module each; imports that take seconds wait for `do`."""
