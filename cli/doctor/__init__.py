"""``doctor``: what an account would refuse, found before the first deploy. Every call only reads.

Each module has checks of one kind: a function of an :class:`~cli.doctor.examination.Examination` that yields findings.
"""
