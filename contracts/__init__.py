"""What functions, containers and stacks must agree on: pure types and rules, without AWS and without a dependency."""
