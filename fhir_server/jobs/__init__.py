"""Jobs: what runs in the background of a worker process."""
