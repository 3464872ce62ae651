"""Work that outlives a request: leased and resumable."""
