"""The pipelines on this machine: each command of the workflows, in order, under the pipeline's own roles."""
