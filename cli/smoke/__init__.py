"""``smoke``: the smallest real run through every leg of a deployed stage; what it made is removed again."""
