"""Commands: what the command line does, a file each; `cli` reads the options and prints what went wrong."""
