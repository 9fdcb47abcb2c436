"""The run-time type check of the tests: beartype, with PEP 484's numeric tower, so that 8 is a float too."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
