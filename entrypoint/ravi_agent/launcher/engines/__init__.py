"""Where agents run: one module an engine, all behind the same few calls."""
