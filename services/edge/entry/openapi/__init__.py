"""The OpenAPI 3.1 document of each surface, made from its routes: what it serves is what it says.

`document.py` puts it together: `operations.py` one route, `parameters.py` what it takes, `answers.py` all it can answer. What no
table knows, the words for people, is in `words.py`, and what platforms expect in bodies in `bodies.py`.
"""
