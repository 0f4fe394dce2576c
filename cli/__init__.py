"""The console command for operators and pipelines: ``python -m cli --help``."""
