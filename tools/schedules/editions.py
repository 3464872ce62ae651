"""The editions we keep: which file each comes from, and the days on which it is the schedule in force.

https://www.cdc.gov/iis/cdsi/index.html

CDSi's files name no window. Ours begin on the day the season's recommendation took effect and end the day before the
next one did. The file of 2021 knows no additional or booster dose, so its window ends with that year; nothing we hold
speaks for the time up to September 2023. Nobody has replaced the last edition yet: we vouch for it for two years.
"""

from dataclasses import dataclass

SCHEDULE = "schedule_supporting_data_v4.64.xml"
"""Vaccine-to-antigen map, conflicts and coded observations: one file for all editions."""

ATTESTED = "003"
"""CDSi's `Immunocompromised`, without a kind or a degree. CDSi's indications are kinds; United States practice took a
person's own word, so we let the general statement count as one (docs/decisions/0023)."""


@dataclass(frozen=True, slots=True)
class Edition:
    """`version` is what callers name; `source` the XML's name; `edition` CDSi's own number where the file's name
    tells it."""

    version: str
    source: str
    starts: str
    ends: str
    edition: str | None = None


EDITIONS = (
    Edition("2021", "covid_supporting_data_2021.xml", "2020-12-12", "2021-12-31"),
    Edition("2023-24", "covid_supporting_data_2023-24.xml", "2023-09-12", "2024-08-21"),
    Edition("2024-25", "covid_supporting_data_2024-25_v4.61.xml", "2024-08-22", "2025-08-26", "4.61"),
    Edition("2025-26", "covid_supporting_data_2025-26_v4.64.xml", "2025-08-27", "2027-08-26", "4.64"),
)
