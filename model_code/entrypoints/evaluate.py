"""Entry point of an evaluation job: the packaged code lies beside this file."""

from model_code.evaluate import main

main()
