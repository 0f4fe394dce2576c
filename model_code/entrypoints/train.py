"""Entry point of a training job: the packaged code lies beside this file."""

from model_code.train import main

main()
