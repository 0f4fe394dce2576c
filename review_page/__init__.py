"""The page on which people answer, one task at a time: templates, questions, answers, routes and assets.

Pure: no AWS, no framework, nothing of this repository. Whoever serves the page gives it two ports: a :class:`~review_page.tasks.TaskStore`
and a :class:`~review_page.sessions.SignIn`. Only :mod:`review_page.templates` needs a package, python-liquid.
"""
