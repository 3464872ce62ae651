"""Turns CDC's CDSi supporting data (XML) into the compact schedules that are committed.

https://www.cdc.gov/iis/cdsi/index.html
"""
