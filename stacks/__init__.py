"""The stacks of one stage. Importing them starts the CDK's Node.js process, which needs a home folder to write to."""

from stacks import home

home.ensure()
