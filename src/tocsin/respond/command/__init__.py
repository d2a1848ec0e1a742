"""Run a program as a response: its arguments, its process, and the proxy that is its access.

A program never gets the responder's credential, nor a text of an event that was not checked.
"""
