"""Entry point of the inference container: the packaged code is beside this file."""

from model_code.inference import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
