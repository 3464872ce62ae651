"""Settings, read once, and Context: all an interaction may reach.

Sources of the values: the environment (`FHIR_SERVER_*`, `MONGODB_URI`, `MONGODB_DRIVER`) and the command line.
"""
