"""The sandbox platform: a fan platform of our own, for demos, sandbox keys and tests.

A real HTTP server with sign-in, two-factor codes, expiring cookie sessions, consents to an application and every upstream path of the catalogue. All data
follow from the account's e-mail address: the same request gives the same bytes, until a write changes them. Nothing of it is
part of the `sessions` service, which reaches it over HTTP like any platform.
"""
