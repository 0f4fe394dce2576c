"""Roles and pipelines that deploy the stages and release models. Nothing here is part of a stage."""
