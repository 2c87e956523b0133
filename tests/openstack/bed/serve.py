"""Serves one WSGI application with gunicorn.

``serve.py HOST:PORT MODULE:ATTRIBUTE[()] [words for the application ...]``, in a cloud's own environment.
"""

import importlib
import sys

from gunicorn.app.base import BaseApplication

bind, target, *words = sys.argv[1:]
sys.argv = ["api", *words]  # Nova and Cinder read it themselves


class Application(BaseApplication):
    """One worker with a few threads."""

    def load_config(self):
        options = {
            "bind": bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": 8,
            "timeout": 600,
            "graceful_timeout": 3,
            "keepalive": 30,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self):
        module, _, attribute = target.partition(":")
        found = getattr(importlib.import_module(module), attribute.removesuffix("()"))
        return found() if attribute.endswith("()") else found


Application().run()
