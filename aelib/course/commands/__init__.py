"""The commands of `python -m aelib`, a file each."""
