"""What any program needs: files that are whole or absent, a lock, worker processes, progress."""
